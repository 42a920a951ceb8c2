package occamy_test

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
)

// handleRandomly is a handler that does whatever a handler should not.
func (s *stress) handleRandomly(ctx context.Context, q occamy.Request) (occamy.Task, error) {
	r := rand.New(rand.NewPCG(s.seed, maphash.String(stressHash, q.ID)+uint64(time.Now().UnixNano())))
	switch r.IntN(20) {
	case 0:
		return nil, errWork
	case 1:
		panic("wild")
	case 2:
		runtime.Goexit()
	case 3:
		return nil, nil
	case 4:
		after(upTo(r, 80*time.Millisecond)) // perhaps past the HandlerTimeout
	case 5:
		<-ctx.Done()
		return nil, context.Cause(ctx)
	case 6:
		return nil, occamy.Requeue(nil, upTo(r, 50*time.Millisecond))
	}
	return s.newWild(q.ID, r, 0), nil
}

var stressHash = maphash.MakeSeed()

// wild is a task that does whatever a task should not.
type wild struct {
	stress     *stress
	id         string
	depth      int
	expanding  atomic.Int32
	controlled atomic.Int32

	mu   sync.Mutex
	rand *rand.Rand // guarded by mu
	mine []occamy.Task
}

func (s *stress) newWild(id string, r *rand.Rand, depth int) *wild {
	return &wild{stress: s, id: id, depth: depth, rand: rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))}
}

func (w *wild) chance(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *wild) while(d time.Duration) time.Duration { return time.Duration(w.chance(int(d))) }

func (w *wild) Details() occamy.Details { return occamy.Details{ID: w.id} }

func (w *wild) Do(ctx context.Context) error {
	if n := w.stress.running.Add(1); n > stressSlots {
		w.stress.Errorf("%d tasks run in %d slots", n, stressSlots)
	}
	defer w.stress.running.Add(-1)
	info, ok := occamy.InfoFromContext(ctx)
	if !ok || info.ID != w.id {
		w.stress.Errorf("info %+v, %t", info, ok)
	}
	if w.chance(3) == 0 {
		_ = occamy.ReportProgress(ctx, []byte("half"))
	}
	if w.chance(3) == 0 {
		_ = occamy.SetResult(ctx, []byte("x"))
	}
	switch w.chance(12) {
	case 0:
		panic("wild")
	case 1:
		runtime.Goexit()
	case 2:
		return errWork
	case 3:
		return occamy.Requeue(errWork, w.while(time.Second))
	case 4:
		after(w.while(150 * time.Millisecond)) // whatever ctx says, perhaps stuck
		return nil
	case 5, 6, 7:
		select {
		case <-ctx.Done():
		case <-time.After(w.while(300 * time.Millisecond)):
			return nil
		}
	default:
		select {
		case <-ctx.Done():
		case <-time.After(w.while(30 * time.Millisecond)):
			return nil
		}
	}
	cause := context.Cause(ctx)
	if info.Status == occamy.Protected && (errors.Is(cause, occamy.ErrPreempted) || errors.Is(cause, occamy.ErrOwnerEnded)) {
		w.stress.Errorf("a protected task was stopped: %v", cause)
	}
	switch w.chance(6) {
	case 0:
		panic("wild")
	case 1:
		after(w.while(200 * time.Millisecond))
	}
	return cause
}

func (w *wild) Expand(ctx context.Context, n int) []occamy.Task {
	if w.expanding.Add(1) > 1 {
		w.stress.Error("two calls of Expand at a time")
	}
	defer w.expanding.Add(-1)
	switch w.chance(10) {
	case 0:
		panic("wild")
	case 1:
		runtime.Goexit()
	case 2:
		after(w.while(60 * time.Millisecond)) // perhaps past the ExpandTimeout
	case 3:
		return make([]occamy.Task, n)
	case 4:
		n += 3
	case 5:
		return nil
	case 6:
		<-ctx.Done()
	}
	if w.depth > 2 {
		return nil
	}
	var offers []occamy.Task
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		if len(w.mine) > 0 && w.rand.IntN(8) == 0 {
			offers = append(offers, w.mine[w.rand.IntN(len(w.mine))]) // one twice
			continue
		}
		h := w.stress.newWild(w.id, w.rand, w.depth+1)
		w.mine = append(w.mine, h)
		offers = append(offers, h)
	}
	return offers
}

func (w *wild) Control(ctx context.Context, _ occamy.Headers, _ []byte) error {
	if w.controlled.Add(1) > 1 {
		w.stress.Error("two calls of Control at a time")
	}
	defer w.controlled.Add(-1)
	switch w.chance(6) {
	case 0:
		panic("wild")
	case 1:
		runtime.Goexit()
	case 2:
		return errWork
	case 3:
		<-ctx.Done()
	case 4:
		after(w.while(30 * time.Millisecond))
	}
	return nil
}
