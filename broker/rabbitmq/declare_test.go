//go:build services

package rabbitmq_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// A queue that a client is just declaring is there before a server can consume
// from it; RabbitMQ breaks the connection of one that tries.
func TestAKindThatBeginsOnBothSides(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			client := open(t, cfg)
			cfg.OnError = func(err error) { t.Errorf("in the background: %v", err) }
			server := open(t, cfg)
			const n = 20
			kinds := ids("k", n)
			in := brokertest.NewIntake("s", n, occamy.HeaderKeys{}, kinds...)
			ctx, cancel := context.WithCancel(context.Background())
			var working sync.WaitGroup
			working.Go(func() {
				if err := server.Consume(ctx, in); err != nil {
					t.Errorf("Consume: %v", err)
				}
			})
			for i, kind := range kinds {
				working.Go(func() {
					if err := client.Submit(within(t), broker.Request{Kind: kind, ID: fmt.Sprint("r", i)}); err != nil {
						t.Errorf("Submit: %v", err)
					}
				})
			}
			for range n {
				select {
				case m := <-in.Requests():
					if attemptOf(m) != 1 {
						t.Errorf("%s came as attempt %d", idOf(m), attemptOf(m))
					}
					ack(t, m)
				case <-within(t).Done():
					t.Fatal("a request did not come")
				}
			}
			cancel()
			working.Wait()
		})
	}
}
