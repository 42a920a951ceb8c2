package routing

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy/examples/routing/internal/search"
)

// showEvery is how often a better tour is copied out of the search, at most.
const showEvery = 5 * time.Millisecond

// found is a tour as cities; nobody changes order.
type found struct {
	length int
	order  []int32
}

// worker is the search of one task, and the two places through which it shares
// tours with the goroutines that send and receive for the task.
type worker struct {
	in   *Instance
	best atomic.Pointer[found] // the best tour that the search has shown
	news chan struct{}         // has an element when best has changed

	mail   atomic.Pointer[found] // a tour from elsewhere, to go on from
	helped atomic.Int64          // how many of them were better
}

func newWorker(in *Instance) worker {
	return worker{in: in, news: make(chan struct{}, 1)}
}

// post hands a tour to the search, unless it has a better one to look at.
func (w *worker) post(f *found) {
	for {
		old := w.mail.Load()
		if old != nil && old.length <= f.length {
			return
		}
		if w.mail.CompareAndSwap(old, f) {
			return
		}
	}
}

// run searches until enough says so, with the time since the start and the best
// length; or until ctx ends, and then returns its cause.
func (w *worker) run(ctx context.Context, enough func(time.Duration, int) bool) error {
	start := time.Now()
	done := ctx.Done()
	stopped := func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	s, ok := search.New(w.in.points, rand.Uint64(), stopped)
	if !ok {
		return context.Cause(ctx)
	}
	w.adopt(s, w.best.Load()) // of an earlier call, where there was one
	shown, shownAt := 0, -showEvery
	for {
		if stopped() {
			w.show(s)
			return context.Cause(ctx)
		}
		if w.mail.Load() != nil && w.adopt(s, w.mail.Swap(nil)) {
			w.helped.Add(1)
		}
		at := time.Since(start)
		if length := s.Length(); length != shown && at >= shownAt+showEvery {
			w.show(s)
			shown, shownAt = length, at
		}
		if s.Proven() || enough(at, s.Length()) {
			w.adopt(s, w.mail.Swap(nil))
			w.show(s)
			return nil
		}
		s.Step()
	}
}

func (w *worker) adopt(s *search.Search, f *found) bool {
	return f != nil && s.Adopt(f.order)
}

func (w *worker) show(s *search.Search) {
	if old := w.best.Load(); old != nil && old.length <= s.Length() {
		return
	}
	w.best.Store(&found{s.Length(), s.Tour(nil)})
	wake(w.news)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// background runs fs in goroutines of their own, until the function that it
// returns is called, which ends their context and waits for them.
func background(ctx context.Context, fs ...func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, f := range fs {
		running.Go(func() { f(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}
