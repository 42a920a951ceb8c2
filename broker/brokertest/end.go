package brokertest

import (
	"context"
	"errors"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var endTests = []test{
	{name: "Close ends every call", run: closeEnds, opts: Options{AckWait: shortLease}},
	{name: "ctx ends every call", run: ctxEnds},
	{name: "ctx ends every call on a lost connection", needs: Interruption, run: ctxEndsCut},
	{name: "the name says which broker it is", run: named},
}

// calls are the methods of a client that ask the broker.
func calls(b broker.Broker) map[string]func(ctx context.Context) error {
	return map[string]func(context.Context) error{
		"Submit":   func(ctx context.Context) error { return b.Submit(ctx, request("k", "ends")) },
		"Optional": func(ctx context.Context) error { return b.Optional(ctx, request("k", "ends")) },
		"Control":  func(ctx context.Context) error { return b.Control(ctx, "t", nil, nil) },
		"Command": func(ctx context.Context) error {
			return b.Command(ctx, occamy.Headers{occamy.DefaultHeaderKeys().Command: occamy.CommandDrain})
		},
		"Result":      func(ctx context.Context) error { _, err := b.Result(ctx, "r1"); return err },
		"Watch":       func(ctx context.Context) error { _, err := b.Watch(ctx, "r1"); return err },
		"DeadLetters": func(ctx context.Context) error { _, err := b.DeadLetters(ctx, 0); return err },
		"DeadLetter":  func(ctx context.Context) error { _, err := b.DeadLetter(ctx, "r1"); return err },
		"Retry":       func(ctx context.Context) error { return b.Retry(ctx, "r1") },
		"Queues":      func(ctx context.Context) error { _, err := b.Queues(ctx); return err },
		"Servers":     func(ctx context.Context) error { _, err := b.Servers(ctx, time.Second); return err },
	}
}

// ends checks that each call returns an error that wraps target.
func (f *fixture) ends(b broker.Broker, ctx func() context.Context, target error) {
	f.Helper()
	for name, call := range calls(b) {
		done := make(chan error, 1)
		go func() { done <- call(ctx()) }()
		select {
		case err := <-done:
			if !errors.Is(err, target) {
				f.Errorf("%s returned %v, want an error that wraps %q", name, err, target)
			}
		case <-f.within().Done():
			f.Fatalf("%s does not end", name)
		}
	}
}

func closeEnds(f *fixture) {
	a := f.consume("a", 1, "k")
	f.submit("k", "r1")
	m := f.next(a)
	events := f.watch(a.conn, "r1")
	f.check("Close", a.conn.Close())
	f.await("Consume to return", a.ended)
	f.wantIs("Consume of a closed connection", a.err, broker.ErrClosed)
	f.wantClosed(events)
	f.check("Close again", a.conn.Close())
	f.ends(a.conn, func() context.Context { return f.ctx }, broker.ErrClosed)
	f.wantIs("Consume after Close", a.conn.Consume(f.ctx, a.Intake), broker.ErrClosed)
	if err := m.Ack(f.within()); !errors.Is(err, occamy.ErrDeliveryLost) && !errors.Is(err, broker.ErrClosed) {
		f.Errorf("Ack after Close: %v, want ErrDeliveryLost or ErrClosed", err)
	}

	b := f.consume("b", 1, "k") // the other connections are none the worse
	m = f.next(b)
	f.wantID(m, "r1")
	f.ack(m)
	f.settled("k")
}

func ctxEnds(f *fixture) {
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	for range 20 { // not when the answer is faster either
		f.ends(f.client, func() context.Context { return ended }, context.Canceled)
	}
	c := f.consume("a", 1, "k")
	if err := f.world.Connect(f.TB).Consume(ended, NewIntake("b", 1, f.keys, "k")); err != nil {
		f.Errorf("Consume with a ctx that has ended: %v, want nil", err)
	}
	f.submit("k", "r1")
	m := f.next(c)
	f.wantID(m, "r1") // and not "ends", whose ctx had ended before it was sent
	f.wantIs("Ack", m.Ack(ended), context.Canceled)
	f.ack(m)
	f.settled("k")
}

func ctxEndsCut(f *fixture) {
	a := f.consume("a", 1, "k")
	f.submit("k", "r1")
	m := f.next(a)
	f.world.Cut(f.TB, a.conn)
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(f.ctx, 100*time.Millisecond)
		f.Cleanup(cancel)
		return ctx
	}
	f.ends(a.conn, short, context.DeadlineExceeded)
	if err := m.Ack(short()); err == nil {
		f.Error("Ack over a cut connection says that the broker has confirmed it")
	}
	a.cancel()
	f.await("Consume to return while the connection is cut", a.ended)
	f.check("Consume whose ctx has ended", a.err)
	f.world.Heal(f.TB, a.conn)
	if err := m.Ack(f.within()); err != nil {
		f.wantIs("Ack after the cut", err, occamy.ErrDeliveryLost)
	}
}

func named(f *fixture) {
	if f.client.Name() == "" {
		f.Error("Name is empty")
	}
}
