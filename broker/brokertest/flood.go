package brokertest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// What a server may keep of the flood.
const (
	floodBody   = 4 << 10
	floodKeeps  = 16 << 20 // MaxBacklogBytes of the server
	floodMargin = 96 << 20 // what is on its way, in the adapter and in a broker of the same process
)

// countingErrors counts the optional requests that were dropped.
type countingErrors struct{ dropped atomic.Int64 }

func (c *countingErrors) RecordError(err error) {
	if errors.Is(err, occamy.ErrOptionalDropped) {
		c.dropped.Add(1)
	}
}

// floodOptional sends far more optional requests to a busy server than it may
// keep, with 400 MB of bodies in all, and looks at the memory of the process meanwhile.
func floodOptional(f *fixture) {
	held := make(chan struct{})
	var started, helped atomic.Int64
	count := &countingErrors{}
	s, err := occamy.New(occamy.Config{
		ID: "flooded", Slots: 2, Kinds: []string{"k"}, Headers: f.keys, MaxBacklog: 1 << 20, MaxBacklogBytes: floodKeeps,
		Monitors: occamy.Monitors{Error: count},
		Handler: doing(func(ctx context.Context, r occamy.Request) error {
			if r.ID[0] != 'r' {
				helped.Add(1)
				return nil
			}
			started.Add(1)
			select {
			case <-held:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}),
	})
	f.check("New", err)
	conn := f.world.Connect(f.TB)
	served := make(chan error, 1)
	go func() { served <- s.Serve(f.ctx, conn) }()
	f.Cleanup(func() {
		ended, end := context.WithCancel(context.Background())
		end()
		if err := s.Shutdown(ended); err != nil {
			f.Errorf("Shutdown: %v", err)
		}
		f.check("Serve", <-served)
	})
	f.submit("k", "r1", "r2")
	f.eventually("both slots are busy", func() bool { return started.Load() == 2 })

	before, peak := heap(), int64(0)
	var sent atomic.Int64
	var senders sync.WaitGroup
	var gate sync.RWMutex // shut while the heap is looked at, so that no garbage counts
	for range 64 {
		senders.Go(func() {
			for n := sent.Add(1); n <= floodOf; n = sent.Add(1) {
				r := broker.Request{Kind: "k", ID: fmt.Sprint("o", n), Body: make([]byte, floodBody)}
				gate.RLock()
				err := f.client.Optional(f.ctx, r)
				gate.RUnlock()
				if err != nil {
					f.Errorf("Optional: %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { senders.Wait(); close(done) }()
	for next := int64(0); next < floodOf; next += floodOf / 20 {
		f.eventually("the flood goes on", func() bool { return sent.Load() >= next })
		gate.Lock()
		peak = max(peak, heap()-before)
		gate.Unlock()
	}
	f.await("the flood to be sent", done)
	f.eventually("the flood is over", func() bool {
		return int(count.dropped.Load())+s.Snapshot().Backlog > floodOf/2
	})
	peak = max(peak, heap()-before)
	f.Logf("%d optional requests of %d KiB, %d dropped, %d kept: the heap grew by %d MiB at most", floodOf, floodBody>>10, count.dropped.Load(), s.Snapshot().Backlog, peak>>20)
	// As many bytes again may wait for their handlers, and for their acks.
	if most := int64(3*floodKeeps + floodMargin); peak > most {
		f.Errorf("the heap grew by %d MiB, want at most %d", peak>>20, most>>20)
	}

	close(held)
	f.eventually("what was kept is done", func() bool { return s.Snapshot().Backlog == 0 && helped.Load() > 0 })
	f.settled("k")
}

// heap is how many bytes live objects take.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
