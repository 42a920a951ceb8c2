//go:build services

package rabbitmq_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// BenchmarkConfirmedPublish is what any message that the broker confirms costs,
// with 64 in parallel as a server with 64 slots has them.
func BenchmarkConfirmedPublish(b *testing.B) {
	for _, queues := range queueTypes {
		b.Run(string(queues), func(b *testing.B) {
			conn := open(b, rabbitmq.Config{URL: nodeURL(b), Prefix: newPrefix(b, nodeURL(b)), QueueType: queues})
			inParallel(b, 64, func(i int) error {
				return conn.Submit(context.Background(), broker.Request{Kind: "k", ID: fmt.Sprint(i)})
			})
		})
	}
}

func BenchmarkPublishOutcome(b *testing.B) {
	conn := open(b, rabbitmq.Config{URL: nodeURL(b), Prefix: newPrefix(b, nodeURL(b))})
	inParallel(b, 64, func(i int) error {
		return conn.PublishOutcome(context.Background(), outcomeOf(fmt.Sprint("r", i)))
	})
}

func BenchmarkWatchNewAndOutcome(b *testing.B) {
	conn := open(b, rabbitmq.Config{URL: nodeURL(b), Prefix: newPrefix(b, nodeURL(b))})
	inParallel(b, 64, func(i int) error {
		id := fmt.Sprint("r", i)
		events, err := conn.WatchNew(context.Background(), id)
		if err != nil {
			return err
		}
		if err := conn.PublishOutcome(context.Background(), outcomeOf(id)); err != nil {
			return err
		}
		<-events
		return nil
	})
}

// BenchmarkResult looks for outcomes among 100,000.
func BenchmarkResult(b *testing.B) {
	for _, parallel := range []int{1, 64} {
		b.Run(fmt.Sprint(parallel), func(b *testing.B) {
			conn := open(b, rabbitmq.Config{URL: nodeURL(b), Prefix: newPrefix(b, nodeURL(b))})
			const n = 100_000
			var next atomic.Int64
			var filling sync.WaitGroup
			for range 256 {
				filling.Go(func() {
					for i := next.Add(1); i <= n; i = next.Add(1) {
						publish(b, conn, fmt.Sprint("r", i))
					}
				})
			}
			filling.Wait()
			inParallel(b, parallel, func(i int) error {
				_, err := conn.Result(context.Background(), fmt.Sprint("r", 1+i%n))
				return err
			})
		})
	}
}

func inParallel(b *testing.B, parallel int, f func(i int) error) {
	if err := f(0); err != nil { // what is missing is made
		b.Fatal(err)
	}
	var next atomic.Int64
	var working sync.WaitGroup
	b.ResetTimer()
	for range parallel {
		working.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	working.Wait()
}
