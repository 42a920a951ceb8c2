//go:build services

package rabbitmq_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// slowCancel is a connection whose basic.cancel takes a while, and that counts
// the basic.deliver.
type slowCancel struct {
	net.Conn
	deliveries *atomic.Int64
}

func (c *slowCancel) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte{0, 60, 0, 30}) {
		time.Sleep(100 * time.Millisecond)
	}
	return c.Conn.Write(p)
}

func (c *slowCancel) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.deliveries.Add(int64(bytes.Count(p[:n], []byte{0, 60, 0, 60})))
	return n, err
}

// RabbitMQ counts what it was about to deliver to a consumer that is cancelled
// just then, as if it had been delivered and lost. What a server hands back must
// not come to that.
func TestWhatAServerThatShutsDownHandsBackDoesNotComeToItAgain(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			const n = 4
			var deliveries atomic.Int64
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			client := open(t, cfg)
			cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
				return &slowCancel{conn, &deliveries}, err
			}
			c := consume(t, open(t, cfg), 2*n, "k") // with room for what comes back
			for i := range n {
				submit(t, client, "k", fmt.Sprint("r", i))
			}
			withdrawn := c.Withdrawn()
			var back sync.WaitGroup
			for range n {
				m := <-c.Requests()
				back.Go(func() {
					<-withdrawn
					if err := m.Reject(within(t), true); err != nil {
						t.Errorf("Reject: %v", err)
					}
				})
			}
			before := deliveries.Load()
			c.Shutdown()
			back.Wait()
			if err := c.stop(); err != nil {
				t.Errorf("Consume: %v", err)
			}
			if again := deliveries.Load() - before; again != 0 {
				t.Errorf("%d came again", again)
			}
		})
	}
}
