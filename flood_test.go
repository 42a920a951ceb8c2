package occamy_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// heapNow is how many bytes live objects take.
func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// bare is a message that keeps no record of itself; it calls back when it is
// settled.
type bare struct {
	headers occamy.Headers
	done    func()
	ack     func(context.Context) error
}

func (b *bare) Headers() occamy.Headers { return b.headers }
func (b *bare) Body() []byte            { return nil }
func (b *bare) Ack(ctx context.Context) error {
	if b.ack != nil {
		return b.ack(ctx)
	}
	if b.done != nil {
		b.done()
	}
	return nil
}
func (b *bare) Reject(ctx context.Context, _ bool) error { return b.Ack(ctx) }

func TestHeapStaysFlatOverManyRequests(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*occamy.Server, int, func())
	}{
		{"requests", func(s *occamy.Server, i int, done func()) {
			h := occamytest.RequestHeaders(kind, "r"+strconv.Itoa(i))
			s.HandleRequest(&bare{headers: h, done: done})
		}},
		{"rejected requests", func(s *occamy.Server, i int, done func()) {
			h := occamytest.RequestHeaders(kind, "r"+strconv.Itoa(i))
			h["fail"] = true
			s.HandleRequest(&bare{headers: h, done: done})
		}},
		{"optional requests", func(s *occamy.Server, i int, done func()) {
			s.HandleControl(&bare{headers: occamytest.RequestHeaders(kind, "o"+strconv.Itoa(i)), done: done})
		}},
		{"cancels", func(s *occamy.Server, i int, done func()) {
			s.HandleControl(&bare{headers: occamytest.CommandHeaders(occamy.CommandCancel, "c"+strconv.Itoa(i)), done: done})
		}},
		{"control messages", func(s *occamy.Server, i int, done func()) {
			s.HandleControl(&bare{headers: occamytest.ControlHeaders("nobody" + strconv.Itoa(i)), done: done})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := occamy.New(occamy.Config{
				Slots: 4, Kinds: []string{kind}, MaxBacklog: 100, MaxCancelled: 100,
				Handler: occamy.HandlerFunc(func(_ context.Context, r occamy.Request) (occamy.Task, error) {
					if r.Headers["fail"] == true {
						return nil, fmt.Errorf("no")
					}
					nt := newTask(r.ID)
					nt.do = func(context.Context) error { return nil }
					return &owner{expander: expander{task: nt, expand: func(context.Context, int) []occamy.Task { return nil }}}, nil
				}),
			})
			if err != nil {
				t.Fatal(err)
			}
			run := func(n int) {
				room := make(chan struct{}, 4)
				var all sync.WaitGroup
				for i := range n {
					all.Add(1)
					room <- struct{}{}
					c.do(s, i, func() { <-room; all.Done() })
				}
				all.Wait()
			}
			run(2_000)
			before := heapNow()
			run(8_000)
			after := heapNow()
			if grown := after - before; grown > 512<<10 {
				t.Errorf("the heap grew by %d bytes over 8,000: from %d", grown, before)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// R12: what is remembered of cancels is bounded in bytes too, however long the
// IDs are, and they are remembered all the same.
func TestR12_LongCancelledIDsTakeLittleMemory(t *testing.T) {
	const most, length = 500, 64 << 10
	s, err := occamy.New(occamy.Config{Slots: 1, Kinds: []string{kind}, MaxCancelled: most,
		Handler: occamy.HandlerFunc(func(_ context.Context, r occamy.Request) (occamy.Task, error) {
			nt := newTask(r.ID)
			nt.do = func(context.Context) error { return fmt.Errorf("it was not to be run") }
			return nt, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	id := func(i int) string { return strconv.Itoa(i) + strings.Repeat("x", length) }
	var acked sync.WaitGroup
	before := heapNow()
	for i := range 2 * most {
		acked.Add(1)
		s.HandleControl(&bare{headers: occamytest.CommandHeaders(occamy.CommandCancel, id(i)), done: acked.Done})
	}
	acked.Wait()
	if grown := heapNow() - before; grown > 2<<20 {
		t.Errorf("the heap grew by %d KiB over cancels of %d MiB", grown>>10, 2*most*length>>20)
	}
	newest := occamytest.NewDelivery(occamytest.RequestHeaders(kind, id(2*most-1)), nil)
	s.HandleRequest(newest)
	<-newest.Settled()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if fate := newest.Settlement().Fate; fate != occamytest.Acked {
		t.Errorf("a request that was cancelled before is %v, want %v", fate, occamytest.Acked)
	}
}

// A broker that does not take acks must not have goroutines pile up.
func TestOptionalFloodIsBounded(t *testing.T) {
	gate := make(chan struct{})
	s, err := occamy.New(occamy.Config{
		Slots: 1, Kinds: []string{kind}, MaxBacklog: 50, HandlerTimeout: -1,
		Handler: occamy.HandlerFunc(func(_ context.Context, r occamy.Request) (occamy.Task, error) {
			<-gate
			return newTask(r.ID), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	hang := func(ctx context.Context) error { <-gate; return nil }
	before := heapNow()
	const flood = 100_000
	for i := range flood {
		s.HandleControl(&bare{headers: occamytest.RequestHeaders(kind, "o"+strconv.Itoa(i)), ack: hang})
	}
	goroutines, grown := runtime.NumGoroutine(), heapNow()-before
	close(gate)
	if goroutines > 1000 {
		t.Errorf("%d goroutines for %d optional requests", goroutines, flood)
	}
	if grown > 16<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if n := len(s.Snapshot().Slots); n != 1 {
		t.Error(n)
	}
}

// Acks that end their goroutine, or panic, leave nobody waiting.
func TestControlAcksThatEndTheirGoroutine(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		acked := 0
		for i := range 500 {
			f.server.HandleControl(&bare{headers: occamytest.ControlHeaders("x"), ack: func(context.Context) error {
				f.mu.Lock()
				acked++
				f.mu.Unlock()
				switch i % 3 {
				case 0:
					runtime.Goexit()
				case 1:
					panic("no")
				}
				return nil
			}})
		}
		f.want("-")
		if acked != 500 {
			t.Errorf("%d of 500 were acked", acked)
		}
	})
}
