package memory_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/memory"
)

// Holders ack, requeue, put off, forget and die at random, while connections
// come and go: each request is acked once.
func TestEachRequestIsAckedOnce(t *testing.T) {
	const requests, holders = 600, 4
	b := memory.New(memory.Options{AckWait: 50 * time.Millisecond, MaxDeliver: -1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var acked [requests]atomic.Int32
	var left atomic.Int32
	left.Store(requests)
	done := make(chan struct{})

	hold := func(seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		for ctx.Err() == nil {
			conn := b.Connect()
			in := brokertest.NewIntake(fmt.Sprint(seed), 8, occamy.HeaderKeys{}, "k")
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if err := conn.Consume(ctx, in); err != nil && !errors.Is(err, broker.ErrClosed) {
					t.Error("Consume:", err)
				}
			}()
			for life := 5 + random.IntN(40); life > 0; life-- {
				var m occamy.Message
				select {
				case m = <-in.Requests():
				case <-done:
					_ = conn.Close()
					<-ended
					return
				}
				in.Free(1)
				var err error
				switch random.IntN(8) {
				case 0:
					err = m.Reject(ctx, true)
				case 1:
					err = m.(occamy.DelayedRequeuer).RequeueAfter(ctx, time.Duration(random.IntN(5))*time.Millisecond)
				case 2: // forgotten: the lease ends
				default:
					if err = m.Ack(ctx); err == nil {
						var i int
						if _, err := fmt.Sscan(string(m.Body()), &i); err != nil {
							t.Error(err)
						}
						acked[i].Add(1)
						if left.Add(-1) == 0 {
							close(done)
						}
					}
				}
				if err != nil && !errors.Is(err, occamy.ErrDeliveryLost) {
					t.Error(err)
				}
			}
			_ = conn.Close()
			<-ended
		}
	}
	var wg sync.WaitGroup
	for seed := range holders {
		wg.Go(func() { hold(uint64(seed)) })
	}
	for i := range requests {
		if err := b.Submit(ctx, broker.Request{Kind: "k", ID: fmt.Sprint(i), Body: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-done:
	case <-ctx.Done():
		t.Errorf("%d of %d requests are not acked", left.Load(), requests)
		close(done)
	}
	wg.Wait()
	for i := range acked {
		if n := acked[i].Load(); n != 1 {
			t.Errorf("request %d was acked %d times", i, n)
		}
	}
	queues, err := b.Queues(t.Context())
	if err != nil || len(queues) != 1 || queues[0] != (broker.Queue{Kind: "k"}) {
		t.Errorf("at the end the queues are %+v (%v)", queues, err)
	}
}

// BenchmarkRequest is a request from Submit until its ack is confirmed, with
// an intake that does nothing.
func BenchmarkRequest(b *testing.B) {
	conn := memory.New(memory.Options{DuplicateWindow: -1})
	in := brokertest.NewIntake("s", 64, occamy.HeaderKeys{}, "k")
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- conn.Consume(ctx, in) }()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := conn.Submit(ctx, broker.Request{Kind: "k", ID: "r1"}); err != nil {
			b.Fatal(err)
		}
		if err := (<-in.Requests()).Ack(ctx); err != nil {
			b.Fatal(err)
		}
		in.Free(1)
	}
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
