package routing

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/examples/routing/internal/search"
)

// Kind is the kind under which the occamy command knows this handler.
const Kind = "route"

// NewHandler returns a handler that makes searches of requests. With cfg.Broker
// their assistants may stand on any server that has this handler under the same
// kind; with cfg.Store a request goes on where its last attempt stopped.
//
// An instance that cannot be read is an error that wraps [ErrInstance], a
// header that cannot be used one that wraps occamy.ErrInvalidHeader.
func NewHandler(cfg assist.Config) occamy.Handler { return assist.Search(newTrip, cfg) }

// trip is the search that one request asks for.
type trip struct {
	in *Instance

	mu    sync.Mutex
	goals goals // guarded by mu: a control message changes them
}

// newTrip is called with the request on each server that takes part.
func newTrip(ctx context.Context, r occamy.Request) (assist.SearchJob[tour], error) {
	want, err := parseGoals(r.Headers)
	if err != nil {
		return nil, err
	}
	in, err := parse(ctx, r.Body)
	if err != nil {
		return nil, err
	}
	return &trip{in: in, goals: goals{Limit: defaultLimit}.or(want)}, nil
}

// postEvery is how often a better tour is shown to others, at most.
const postEvery = 5 * time.Millisecond

// Search runs on the slot of the request and on those of all its assistants.
// Between two looks at ctx it does some tens of microseconds of work.
func (t *trip) Search(ctx context.Context, b *assist.Board[tour]) error {
	stopped := func() bool { return ctx.Err() != nil }
	s, ok := search.New(t.in.points, rand.Uint64(), stopped)
	if !ok { // a request whose time is up already has a result all the same
		_, err := b.Post(t.in.asInTheFile())
		return err
	}
	pause := postEvery + time.Duration(t.in.Cities())*time.Microsecond
	posted, at := 0, time.Time{}
	for {
		select {
		case <-b.News(): // somebody else has found a better tour
			if best, _, ok := b.Best(); ok {
				s.Adopt(best)
			}
		default:
		}
		over := s.Proven() || stopped()
		if s.Length() != posted && (over || time.Since(at) >= pause) {
			if _, err := b.Post(s.Tour(nil)); err != nil {
				return err
			}
			posted, at = s.Length(), time.Now()
		}
		if over {
			return nil
		}
		s.Step()
	}
}

// Cost is the length of a tour, which may have come from anywhere.
func (t *trip) Cost(s tour) (float64, error) {
	if err := t.in.checkOrder(s); err != nil {
		return 0, err
	}
	return float64(t.in.length(s)), nil
}

// Result is what a request gives.
type Result struct {
	Name   string `json:"name"` // of the instance
	Length int    `json:"length"`
	Tour   []int  `json:"tour"` // numbers of the file, from its first city on
}

// Result makes the Result of the best tour.
func (t *trip) Result(_ context.Context, best tour) ([]byte, error) {
	return json.Marshal(Result{t.in.Name, t.in.length(best), t.in.numbers(best)})
}

// What follows a job may leave out: limits, control messages, and progress of
// its own.

// Limits says when the search ends by itself.
func (t *trip) Limits() assist.Limits {
	g := t.now()
	l := assist.Limits{Time: g.Limit}
	if g.Target > 0 {
		target := float64(g.Target)
		l.Target = &target
	}
	return l
}

// Control takes a message from a user; assist asks for the Limits afterwards.
func (t *trip) Control(_ context.Context, headers occamy.Headers, _ []byte) error {
	want, err := parseGoals(headers)
	if err != nil {
		return err
	}
	if want == (goals{}) {
		return errNoGoals
	}
	t.change(want)
	return nil
}

// State and Restore have the next attempt of the request know what users said.
func (t *trip) State() []byte {
	b, _ := json.Marshal(t.now()) // two numbers
	return b
}

// Restore is the inverse of State.
func (t *trip) Restore(state []byte) error {
	var g goals
	if err := json.Unmarshal(state, &g); err != nil {
		return err
	}
	if err := g.check(); err != nil {
		return err
	}
	t.change(g)
	return nil
}

// Progress is what a task reports while it runs.
type Progress struct {
	Fraction   float64 `json:"fraction"` // of the time limit
	Name       string  `json:"name"`     // of the instance
	Length     int     `json:"length,omitempty"`
	ElapsedMS  int64   `json:"elapsed_ms"` // that all attempts have taken
	LimitMS    int64   `json:"limit_ms"`
	Target     int     `json:"target,omitempty"`
	Assistants int     `json:"assistants"` // that help now, wherever they are
	Helped     uint64  `json:"helped"`     // better tours of assistants, in this attempt
}

// Progress puts the names of routing on what assist knows.
func (t *trip) Progress(p assist.Progress) []byte {
	g := t.now()
	said := Progress{
		Fraction: p.Fraction, Name: t.in.Name, ElapsedMS: p.Elapsed.Milliseconds(),
		LimitMS: g.Limit.Milliseconds(), Target: g.Target, Assistants: p.Assistants, Helped: p.Helped,
	}
	if p.Cost != nil {
		said.Length = int(*p.Cost)
	}
	b, _ := json.Marshal(said) // numbers and a name
	return b
}

func (t *trip) now() goals {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.goals
}

func (t *trip) change(want goals) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.goals = t.goals.or(want)
}
