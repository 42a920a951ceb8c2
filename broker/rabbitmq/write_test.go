//go:build services

package rabbitmq_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// A connection that is lost may show first in a write that fails, before
// anything else has noticed. That is a lost connection as any: the call is made
// again over the next one.
func TestAWriteFailsBeforeTheConnectionIsKnownToBeLost(t *testing.T) {
	url := nodeURL(t)
	var wires wires
	b := open(t, rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), Dial: wires.dial, OnError: func(error) {}})
	submit(t, b, "k", "r1")
	for _, c := range []struct {
		name string
		call func(ctx context.Context) error
		want error // nil: none
	}{
		{"Submit", func(ctx context.Context) error { return b.Submit(ctx, broker.Request{Kind: "k", ID: "r2"}) }, nil},
		{"Submit of a large one", func(ctx context.Context) error {
			return b.Submit(ctx, broker.Request{Kind: "k", ID: "r3", Body: make([]byte, 2<<20)})
		}, nil},
		{"Result", func(ctx context.Context) error { _, err := b.Result(ctx, "r1"); return err }, broker.ErrNotFound},
		{"DeadLetters", func(ctx context.Context) error { _, err := b.DeadLetters(ctx, 0); return err }, nil},
		{"DeadLetter", func(ctx context.Context) error { _, err := b.DeadLetter(ctx, "r1"); return err }, broker.ErrNotFound},
		{"Retry", func(ctx context.Context) error { return b.Retry(ctx, "r1") }, broker.ErrNotFound},
		{"Queues", func(ctx context.Context) error { _, err := b.Queues(ctx); return err }, nil},
		{"Control", func(ctx context.Context) error { return b.Control(ctx, "t", nil, nil) }, broker.ErrNobody},
		{"Servers", func(ctx context.Context) error { _, err := b.Servers(ctx, 10*time.Millisecond); return err }, nil},
		{"Command", func(ctx context.Context) error {
			return b.Command(ctx, occamy.Headers{occamy.DefaultHeaderKeys().Command: occamy.CommandDrain})
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.call(within(t)); !errors.Is(err, c.want) {
				t.Fatalf("before: %v; want %v", err, c.want)
			}
			for range 3 {
				wires.jam()
				if err := c.call(within(t)); !errors.Is(err, c.want) {
					t.Fatalf("over a connection that takes no writes: %v; want %v", err, c.want)
				}
			}
		})
	}
}

// wires are connections that can be made to fail at their next write.
type wires struct {
	mu  sync.Mutex
	all []*wire
}

type wire struct {
	net.Conn
	of     *wires
	jammed bool // guarded by of.mu
}

func (w *wires) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &wire{Conn: conn, of: w}
	w.all = append(w.all, c)
	return c, nil
}

func (w *wires) jam() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.all {
		c.jammed = true
	}
}

func (c *wire) Write(p []byte) (int, error) {
	c.of.mu.Lock()
	jammed := c.jammed
	c.of.mu.Unlock()
	if jammed {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}
	}
	return c.Conn.Write(p)
}
