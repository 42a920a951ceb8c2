package nats_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually asks again until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	ctx := within(t)
	for !ok() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// consuming is a call of Consume.
type consuming struct {
	*brokertest.Intake
	stop func() error // ends it; what it returned
	over chan struct{}
	err  error
}

func consume(t testing.TB, b *nats.Broker, slots int, kinds ...string) *consuming {
	t.Helper()
	in := brokertest.NewIntake("a", slots, occamy.HeaderKeys{}, kinds...)
	ctx, cancel := context.WithCancel(context.Background())
	c := &consuming{Intake: in, over: make(chan struct{})}
	go func() {
		defer close(c.over)
		c.err = b.Consume(ctx, in)
	}()
	c.stop = func() error {
		cancel()
		<-c.over
		return c.err
	}
	t.Cleanup(func() { _ = c.stop() })
	return c
}

func (c *consuming) next(t testing.TB) occamy.Message {
	t.Helper()
	select {
	case m := <-c.Requests():
		return m
	case <-c.over:
		t.Fatalf("Consume returned: %v", c.err)
	case <-within(t).Done():
		t.Fatal("no request came")
	}
	return nil
}

func (c *consuming) quiet(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case m := <-c.Requests():
		t.Fatalf("request %q came; want none", idOf(m))
	case <-time.After(d):
	}
}

func idOf(m occamy.Message) string {
	id, _ := broker.HeaderString(m.Headers(), occamy.DefaultHeaderKeys().RequestID)
	return id
}

func submit(t testing.TB, b *nats.Broker, kind string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := b.Submit(within(t), requestOf(kind, id, 10)); err != nil {
			t.Fatalf("Submit %s: %v", id, err)
		}
	}
}

func requestOf(kind, id string, size int) broker.Request {
	return broker.Request{Kind: kind, ID: id, Body: make([]byte, size)}
}

func ack(t testing.TB, m occamy.Message) {
	t.Helper()
	if err := m.Ack(within(t)); err != nil {
		t.Fatalf("Ack of %s: %v", idOf(m), err)
	}
}

func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

// portOf returns the port of a server, so that another can follow it there.
func portOf(t testing.TB, s *embedded.Server) int {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func wantIs(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v; want an error that wraps %q", what, err, target)
	}
}

// bare is a connection without Occamy.
func bare(t testing.TB, s *embedded.Server) *natsgo.Conn {
	t.Helper()
	nc, err := natsgo.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
