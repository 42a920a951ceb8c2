package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// fixture is what one test works with: a world of its own, a client's
// connection, and helpers that fail the test.
type fixture struct {
	testing.TB
	ctx    context.Context // ends with the test
	keys   occamy.HeaderKeys
	world  World
	client broker.Broker
	lacks  map[Ability]string
}

func newFixture(t *testing.T, h Harness, o Options) *fixture {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	f := &fixture{TB: t, ctx: ctx, keys: o.Keys.WithDefaults(), lacks: h.Lacks}
	f.world = h.Open(t, o)
	f.client = f.world.Connect(t)
	return f
}

// within returns a context for one call that must not take long.
func (f *fixture) within() context.Context {
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	f.Cleanup(cancel)
	return ctx
}

func (f *fixture) check(what string, err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("%s: %v", what, err)
	}
}

func (f *fixture) wantIs(what string, err, target error) {
	f.Helper()
	if !errors.Is(err, target) {
		f.Fatalf("%s: %v; want an error that wraps %q", what, err, target)
	}
}

// consumer is a server's side: a connection, an intake, and a call of Consume.
type consumer struct {
	*Intake
	conn   broker.Broker
	cancel context.CancelFunc
	ended  chan struct{} // closed when Consume has returned err
	err    error
}

// consume starts a consumer on a connection of its own and returns when
// clients see it.
func (f *fixture) consume(id string, slots int, kinds ...string) *consumer {
	f.Helper()
	return f.consumeOn(f.world.Connect(f.TB), NewIntake(id, slots, f.keys, kinds...))
}

func (f *fixture) consumeOn(conn broker.Broker, in *Intake) *consumer {
	f.Helper()
	ctx, cancel := context.WithCancel(f.ctx)
	c := &consumer{Intake: in, conn: conn, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = conn.Consume(ctx, in)
	}()
	f.Cleanup(func() {
		cancel()
		<-c.ended
	})
	f.eventually(in.Info().ID+" is seen by clients", func() bool {
		return slices.Contains(f.servers(), in.Info().ID)
	})
	return c
}

// stop ends Consume in order and checks that it takes that for no error.
func (f *fixture) stop(c *consumer) {
	f.Helper()
	c.cancel()
	f.await("Consume to return", c.ended)
	f.check("Consume whose ctx has ended", c.err)
}

func (f *fixture) servers() (ids []string) {
	f.Helper()
	snapshots, err := f.client.Servers(f.within(), 250*time.Millisecond)
	f.check("Servers", err)
	for _, s := range snapshots {
		ids = append(ids, s.Server)
	}
	return ids
}

// eventually asks again until ok, with a pause that grows.
func (f *fixture) eventually(what string, ok func() bool) {
	f.Helper()
	ctx, pause := f.within(), time.Millisecond
	for !ok() {
		select {
		case <-time.After(pause):
			pause = min(2*pause, 50*time.Millisecond)
		case <-ctx.Done():
			f.Fatalf("it never came to be that %s", what)
		}
	}
}

func (f *fixture) await(what string, done <-chan struct{}) {
	f.Helper()
	select {
	case <-done:
	case <-f.within().Done():
		f.Fatalf("waited in vain for %s", what)
	}
}

// submit submits a request whose body says its ID.
func (f *fixture) submit(kind string, ids ...string) {
	f.Helper()
	for _, id := range ids {
		f.check("Submit", f.client.Submit(f.within(), request(kind, id)))
	}
}

func request(kind, id string) broker.Request {
	return broker.Request{Kind: kind, ID: id, Body: []byte("body of " + id)}
}

func names(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return ids
}

// next returns the next request message that c gets.
func (f *fixture) next(c *consumer) occamy.Message {
	f.Helper()
	return f.receive(c, c.Requests(), "request")
}

func (f *fixture) nextControl(c *consumer) occamy.Message {
	f.Helper()
	return f.receive(c, c.Controls(), "control message")
}

func (f *fixture) receive(c *consumer, from <-chan occamy.Message, what string) occamy.Message {
	f.Helper()
	select {
	case m := <-from:
		return m
	case <-c.ended:
		f.Fatalf("Consume of %s returned: %v", c.Info().ID, c.err)
	case <-f.within().Done():
		f.Fatalf("%s got no %s", c.Info().ID, what)
	}
	return nil
}

// quiet checks that no request comes to c for a while.
func (f *fixture) quiet(c *consumer, d time.Duration) {
	f.Helper()
	select {
	case m := <-c.Requests():
		f.Fatalf("%s got request %q; want none", c.Info().ID, f.id(m))
	case <-time.After(d):
	}
}

func (f *fixture) id(m occamy.Message) string {
	id, _ := broker.HeaderString(m.Headers(), f.keys.RequestID)
	return id
}

func (f *fixture) wantID(m occamy.Message, id string) {
	f.Helper()
	if got := f.id(m); got != id {
		f.Fatalf("got request %q, want %q", got, id)
	}
}

func (f *fixture) ack(m occamy.Message) {
	f.Helper()
	f.check("Ack of "+f.id(m), m.Ack(f.within()))
}

// as returns m as a message with an ability that every adapter's have.
func as[A any](f *fixture, m occamy.Message) A {
	f.Helper()
	a, ok := m.(A)
	if !ok {
		f.Fatalf("a request message of type %T is no %T", m, (*A)(nil))
	}
	return a
}

func (f *fixture) attempt(m occamy.Message) int {
	f.Helper()
	return as[occamy.Attempter](f, m).Attempt()
}

// queue returns the depths of a kind, zeros when the broker does not list it.
func (f *fixture) queue(kind string) broker.Queue {
	f.Helper()
	queues, err := f.client.Queues(f.within())
	f.check("Queues", err)
	for _, q := range queues {
		if q.Kind == kind {
			return q
		}
	}
	return broker.Queue{Kind: kind}
}

// settled waits until the broker has nothing left of a kind but dead letters.
func (f *fixture) settled(kind string) {
	f.Helper()
	f.eventually("nothing of the kind "+kind+" is left", func() bool {
		q := f.queue(kind)
		return q.Ready == 0 && q.Unacked == 0
	})
}

// hold keeps m alive until the test ends or stop is called, as a server does.
func (f *fixture) hold(m occamy.Message) (stop func()) {
	f.Helper()
	l, ok := m.(occamy.Leased)
	if !ok || l.AckWait() <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(l.AckWait() / 4):
				if err := l.KeepAlive(ctx); err != nil && ctx.Err() == nil {
					f.Errorf("KeepAlive of %s: %v", f.id(m), err)
					return
				}
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	f.Cleanup(stop)
	return stop
}

// wantLost waits until m is no longer its holder's, and checks that no way to
// settle it is taken.
func (f *fixture) wantLost(m occamy.Message) {
	f.Helper()
	ctx := f.within()
	f.wantIs("late Ack", m.Ack(ctx), occamy.ErrDeliveryLost)
	f.wantIs("late AckAsync", <-ackAsync(ctx, m), occamy.ErrDeliveryLost)
	f.wantIs("late Reject", m.Reject(ctx, false), occamy.ErrDeliveryLost)
	f.wantIs("late requeue", m.Reject(ctx, true), occamy.ErrDeliveryLost)
	f.wantIs("late delayed requeue", as[occamy.DelayedRequeuer](f, m).RequeueAfter(ctx, time.Millisecond), occamy.ErrDeliveryLost)
	f.wantIs("late RejectFor", as[occamy.ReasonedRejecter](f, m).RejectFor(ctx, "late"), occamy.ErrDeliveryLost)
	f.wantIs("late PublishProgress", as[occamy.ProgressKeeper](f, m).PublishProgress(ctx, []byte("late")), occamy.ErrDeliveryLost)
	f.wantIs("late PublishOutcome", as[occamy.OutcomePublisher](f, m).PublishOutcome(ctx, occamy.Outcome{ID: f.id(m), Status: occamy.Completed}), occamy.ErrDeliveryLost)
}
