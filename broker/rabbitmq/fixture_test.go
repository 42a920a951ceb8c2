//go:build services

package rabbitmq_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// nodeURL is the broker that the tests share.
func nodeURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv("OCCAMY_AMQP_URL")
	if url == "" {
		t.Fatal("OCCAMY_AMQP_URL does not say where a RabbitMQ is")
	}
	return url
}

// newPrefix returns a prefix of the test's own, and removes all that begins with
// it afterwards.
func newPrefix(t testing.TB, url string) string {
	t.Helper()
	prefix := "t" + strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() { sweep(t, url, prefix) })
	return prefix
}

// sweep removes the queues and exchanges of a prefix.
func sweep(t testing.TB, url, prefix string) {
	b, err := rabbitmq.Open(within(t), rabbitmq.Config{URL: url, Prefix: prefix})
	if err != nil {
		t.Logf("sweep %s: %v", prefix, err)
		return
	}
	defer func() { _ = b.Close() }()
	if err := b.Sweep(within(t)); err != nil {
		t.Logf("sweep %s: %v", prefix, err)
	}
}

func open(t testing.TB, cfg rabbitmq.Config) *rabbitmq.Broker {
	t.Helper()
	b, err := rabbitmq.Open(within(t), logged(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// logged has what goes wrong in the background told by the test.
func logged(t testing.TB, cfg rabbitmq.Config) rabbitmq.Config {
	if cfg.OnError == nil {
		cfg.OnError = func(err error) { t.Logf("in the background: %v", err) }
	}
	if cfg.ProgressAge == 0 {
		cfg.ProgressAge = 2 * time.Minute // what a test leaves behind
	}
	return cfg
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

func consume(t testing.TB, b *rabbitmq.Broker, slots int, kinds ...string) *consuming {
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

func attemptOf(m occamy.Message) int { return m.(occamy.Attempter).Attempt() }

func submit(t testing.TB, b *rabbitmq.Broker, kind string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := b.Submit(within(t), broker.Request{Kind: kind, ID: id, Body: []byte("body of " + id)}); err != nil {
			t.Fatalf("Submit %s: %v", id, err)
		}
	}
}

// submitMany submits n requests, many at a time.
func submitMany(t testing.TB, b *rabbitmq.Broker, kind string, n int) {
	t.Helper()
	errs := make(chan error, n)
	for _, id := range ids("r", n) {
		go func() { errs <- b.Submit(within(t), broker.Request{Kind: kind, ID: id}) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
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

func wantIs(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v; want an error that wraps %q", what, err, target)
	}
}

// lost is closed when the broker says that a delivery is lost.
func lost(m occamy.Message) <-chan struct{} {
	c := make(chan struct{})
	m.(occamy.LossNotifier).NotifyLost(func() { close(c) })
	return c
}

func await(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-within(t).Done():
		t.Fatalf("waited in vain for %s", what)
	}
}

// bare is a connection without Occamy.
func bare(t testing.TB, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// wantLost checks that no way to settle m is taken.
func wantLost(t testing.TB, m occamy.Message) {
	t.Helper()
	ctx := within(t)
	wantIs(t, "late Ack", m.Ack(ctx), occamy.ErrDeliveryLost)
	wantIs(t, "late Reject", m.Reject(ctx, false), occamy.ErrDeliveryLost)
	wantIs(t, "late requeue", m.Reject(ctx, true), occamy.ErrDeliveryLost)
	wantIs(t, "late PublishOutcome", m.(occamy.OutcomePublisher).PublishOutcome(ctx, occamy.Outcome{ID: idOf(m), Status: occamy.Completed}), occamy.ErrDeliveryLost)
	wantIs(t, "late PublishProgress", m.(occamy.ProgressKeeper).PublishProgress(ctx, []byte("late")), occamy.ErrDeliveryLost)
}
