//go:build unix

package proof

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
)

// squares adds up squares, one in a unit.
type squares struct {
	N    int           `json:"n"`
	Each time.Duration `json:"each"`

	sum  int
	note func(w what, unit int)
}

func newSquares(a *audit) func(context.Context, occamy.Request) (assist.UnitsJob[int, int], error) {
	return func(_ context.Context, r occamy.Request) (assist.UnitsJob[int, int], error) {
		value := rand.Uint64()
		s := &squares{note: func(w what, unit int) { a.note(event{Job: r.ID, Value: value, What: w, Unit: unit}) }}
		return s, json.Unmarshal(r.Body, s)
	}
}

func (s *squares) Units(context.Context) iter.Seq2[int, error] {
	s.note(isMaster, 0)
	return func(yield func(int, error) bool) {
		for i := range s.N {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (s *squares) Compute(ctx context.Context, u int) (int, error) {
	s.note(begins, u)
	if err := pause(ctx, s.Each); err != nil {
		return 0, err
	}
	s.note(ends, u)
	return u * u, nil
}

func (s *squares) Collect(_ context.Context, i, r int) error {
	s.note(collects, i)
	s.sum += r
	return nil
}

func (s *squares) Result(context.Context) ([]byte, error) { return json.Marshal(s.sum) }

func sumOfSquares(n int) int { return (n - 1) * n * (2*n - 1) / 6 }

// countdown is a search that gets one better with each step, from N to 1.
type countdown struct {
	N    int           `json:"n"`
	Each time.Duration `json:"each"`

	note func(w what, cost int)
}

func newCountdown(a *audit) func(context.Context, occamy.Request) (assist.SearchJob[int], error) {
	return func(_ context.Context, r occamy.Request) (assist.SearchJob[int], error) {
		value := rand.Uint64()
		c := &countdown{note: func(w what, cost int) { a.note(event{Job: r.ID, Value: value, What: w, Cost: cost}) }}
		return c, json.Unmarshal(r.Body, c)
	}
}

func (c *countdown) Search(ctx context.Context, b *assist.Board[int]) error {
	best, _, _ := b.Best()
	c.note(begins, best)
	for {
		if err := pause(ctx, c.Each); err != nil {
			return err
		}
		best, _, ok := b.Best()
		if !ok {
			best = c.N
		}
		if _, err := b.Post(max(best-1, 1)); err != nil {
			return err
		}
	}
}

func (c *countdown) Cost(s int) (float64, error) {
	if s < 1 {
		return 0, errors.New("less than 1")
	}
	return float64(s), nil
}

func (c *countdown) Result(_ context.Context, best int) ([]byte, error) { return json.Marshal(best) }

func (c *countdown) Limits() assist.Limits {
	c.note(isMaster, 0)
	target := 1.0
	return assist.Limits{Target: &target}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
