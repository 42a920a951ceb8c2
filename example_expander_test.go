package occamy_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/occamy-go/occamy"
)

// sum adds up numbers. What is to do stands in a list that it shares with its
// helpers, which run in the same process: whoever runs takes a chunk, and gives
// it back when it ends half-way, so no chunk is lost with a helper that is
// preempted, panics, or never starts.
type sum struct {
	news chan struct{} // has an element when a chunk is done or was given back

	mu     sync.Mutex // guards the rest
	chunks [][]int    // to do, and with nobody
	taken  int        // chunks that somebody works on
	total  int
}

func (*sum) Details() occamy.Details { return occamy.Details{} }

// Do works as its helpers do, and then waits for the chunks that they have.
func (s *sum) Do(ctx context.Context) error {
	for {
		if err := s.work(ctx); err != nil {
			return err
		}
		s.mu.Lock()
		total, left := s.total, len(s.chunks)+s.taken
		s.mu.Unlock()
		if left == 0 {
			return occamy.SetResult(ctx, strconv.AppendInt(nil, int64(total), 10))
		}
		select {
		case <-s.news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Expand offers helpers while there are chunks, but gives them none: they may
// never start.
func (s *sum) Expand(_ context.Context, n int) []occamy.Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	helpers := make([]occamy.Task, min(n, len(s.chunks)))
	for i := range helpers {
		helpers[i] = &sumHelper{s}
	}
	return helpers
}

// work adds up chunks until there is none to take or ctx ends.
func (s *sum) work(ctx context.Context) error {
	for {
		chunk, ok := s.take()
		if !ok {
			return nil
		}
		if err := s.add(ctx, chunk); err != nil {
			return err
		}
	}
}

func (s *sum) take() (chunk []int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.chunks) == 0 {
		return nil, false
	}
	chunk, s.chunks = s.chunks[0], s.chunks[1:]
	s.taken++
	return chunk, true
}

// add adds up one chunk. However it ends, the chunk is counted or given back.
func (s *sum) add(ctx context.Context, chunk []int) error {
	part, done := 0, false
	defer func() { s.put(chunk, part, done) }()
	for _, n := range chunk {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		part += n
	}
	done = true
	return nil
}

func (s *sum) put(chunk []int, part int, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if done {
		s.total += part
	} else {
		s.chunks = append(s.chunks, chunk)
	}
	select {
	case s.news <- struct{}{}:
	default: // the owner will look anyhow
	}
}

// sumHelper helps a sum.
type sumHelper struct{ owner *sum }

func (*sumHelper) Details() occamy.Details { return occamy.Details{} }

func (h *sumHelper) Do(ctx context.Context) error { return h.owner.work(ctx) }

// newSum adds up the numbers from 1 to 100.
func newSum() *sum {
	s := &sum{news: make(chan struct{}, 1)}
	for first := 1; first <= 100; first += 10 {
		var chunk []int
		for n := range 10 {
			chunk = append(chunk, first+n)
		}
		s.chunks = append(s.chunks, chunk)
	}
	return s
}

// A task that uses spare slots: helpers take chunks of its work when they run,
// and give back what they do not finish.
func ExampleExpander() {
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return newSum(), nil
	}, occamy.Monitors{})
	defer shutdown(server)

	m := handle(server, nil)
	fmt.Printf("%s: %s\n", m.Settlement().Fate, m.Outcomes()[0].Result)
	// Output: acked: 5050
}
