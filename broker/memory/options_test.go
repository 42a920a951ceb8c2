package memory_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/memory"
)

// bench is a broker with one consumer, in virtual time.
type bench struct {
	*testing.T
	*memory.Broker
	in *brokertest.Intake
}

// inBubble runs f with a broker whose consumer has that many slots for the
// kind "k".
func inBubble(t *testing.T, o memory.Options, slots int, f func(b bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := bench{t, memory.New(o), brokertest.NewIntake("s", slots, o.Keys, "k")}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Consume(ctx, b.in) }()
		synctest.Wait()
		f(b)
		cancel()
		if err := <-ended; err != nil {
			t.Error("Consume:", err)
		}
	})
}

func (b bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b bench) submit(ids ...string) {
	b.Helper()
	for _, id := range ids {
		b.must(b.Submit(b.Context(), broker.Request{Kind: "k", ID: id}))
	}
}

// taken returns the requests that have come by now.
func (b bench) taken() (ms []occamy.Message) {
	synctest.Wait()
	for {
		select {
		case m := <-b.in.Requests():
			ms = append(ms, m)
		default:
			return ms
		}
	}
}

func (b bench) wantTaken(ids ...string) []occamy.Message {
	b.Helper()
	ms := b.taken()
	var got []string
	for _, m := range ms {
		id, _ := broker.HeaderString(m.Headers(), occamy.DefaultHeaderKeys().RequestID)
		got = append(got, id)
	}
	if !slices.Equal(got, ids) {
		b.Fatalf("the consumer got %v, want %v", got, ids)
	}
	return ms
}

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

func TestLeaseEndsAfterAckWait(t *testing.T) {
	for _, c := range []struct {
		option, wait time.Duration
	}{{0, 30 * time.Second}, {time.Minute, time.Minute}} {
		inBubble(t, memory.Options{AckWait: c.option}, 2, func(b bench) {
			b.submit("r1")
			m := b.wantTaken("r1")[0]
			pass(c.wait - 1)
			b.wantTaken()
			pass(1)
			again := b.wantTaken("r1")[0]
			if err := m.Ack(b.Context()); !errors.Is(err, occamy.ErrDeliveryLost) {
				b.Errorf("late Ack: %v", err)
			}
			b.must(again.Ack(b.Context()))
		})
	}
}

func TestNegativeAckWaitMeansNoLease(t *testing.T) {
	inBubble(t, memory.Options{AckWait: -1}, 2, func(b bench) {
		b.submit("r1")
		m := b.wantTaken("r1")[0]
		if w := m.(occamy.Leased).AckWait(); w != 0 {
			b.Errorf("AckWait is %v, want 0: no lease", w)
		}
		pass(1000 * time.Hour)
		b.wantTaken()
		b.must(m.Ack(b.Context()))
	})
}

func TestNegativeMaxDeliverMeansNoLimit(t *testing.T) {
	inBubble(t, memory.Options{MaxDeliver: -1}, 100, func(b bench) {
		b.submit("r1")
		for range 99 {
			b.wantTaken("r1")
			pass(30 * time.Second)
		}
		b.must(b.wantTaken("r1")[0].Ack(b.Context()))
	})
}

func TestDuplicateWindow(t *testing.T) {
	for _, c := range []struct {
		option, window time.Duration
	}{{0, 2 * time.Minute}, {time.Second, time.Second}} {
		inBubble(t, memory.Options{AckWait: -1, DuplicateWindow: c.option}, 10_000, func(b bench) {
			b.submit("r1")
			b.wantTaken("r1")
			pass(c.window / 2)
			for i := range 1000 { // a long memory
				b.submit(fmt.Sprint(i))
			}
			b.taken()
			pass(c.window/2 - 1)
			b.submit("r1", "0")
			b.wantTaken()
			pass(1)
			b.submit("r1", "0", "999")
			b.wantTaken("r1")
			pass(c.window / 2)
			b.submit("r1", "0", "999")
			b.wantTaken("0", "999")
		})
	}
	inBubble(t, memory.Options{DuplicateWindow: -1}, 2, func(b bench) {
		b.submit("r1", "r1")
		b.wantTaken("r1", "r1")
	})
}

func TestOneIDOfTwoKindsIsTwoRequests(t *testing.T) {
	b := memory.New(memory.Options{})
	for _, kind := range []string{"j", "k"} {
		if err := b.Submit(t.Context(), broker.Request{Kind: kind, ID: "r1"}); err != nil {
			t.Fatal(err)
		}
	}
	queues, err := b.Queues(t.Context())
	if err != nil || !slices.Equal(queues, []broker.Queue{{Kind: "j", Ready: 1}, {Kind: "k", Ready: 1}}) {
		t.Errorf("the queues are %+v (%v)", queues, err)
	}
}

func TestOutcomesAreForgotten(t *testing.T) {
	finish := func(b bench, ids ...string) {
		b.submit(ids...)
		for _, m := range b.wantTaken(ids...) {
			id := m.Headers()[occamy.DefaultHeaderKeys().RequestID].(string)
			b.must(m.(occamy.OutcomePublisher).PublishOutcome(b.Context(), occamy.Outcome{ID: id, Status: occamy.Completed}))
			b.must(m.Ack(b.Context()))
		}
		b.in.Free(len(ids))
	}
	want := func(b bench, id string, there bool) {
		b.Helper()
		if _, err := b.Result(b.Context(), id); (err == nil) != there || err != nil && !errors.Is(err, broker.ErrNotFound) {
			b.Errorf("Result of %s: %v, want it there: %t", id, err, there)
		}
	}
	for _, c := range []struct{ option, age time.Duration }{{0, time.Hour}, {time.Minute, time.Minute}} {
		inBubble(t, memory.Options{OutcomeAge: c.option}, 10, func(b bench) {
			finish(b, "r1")
			pass(c.age / 2)
			finish(b, "r2")
			pass(c.age/2 - 1)
			want(b, "r1", true)
			pass(1)
			want(b, "r1", false)
			want(b, "r2", true)
		})
	}
	inBubble(t, memory.Options{MaxOutcomes: 2, OutcomeAge: -1}, 10, func(b bench) {
		finish(b, "r1", "r2", "r3")
		want(b, "r1", false)
		want(b, "r2", true)
		want(b, "r3", true)
		pass(10_000 * time.Hour)
		want(b, "r3", true)
	})
}

func TestPayloadLimit(t *testing.T) {
	for _, c := range []struct {
		option, size int
		ok           bool
	}{{10, 10, true}, {10, 11, false}, {0, 64 << 20, true}, {0, 64<<20 + 1, false}, {-1, 64<<20 + 1, true}} {
		b := memory.New(memory.Options{MaxPayload: c.option})
		err := b.Submit(t.Context(), broker.Request{Kind: "k", ID: "r1", Body: make([]byte, c.size)})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, occamy.ErrTooLarge) {
			t.Errorf("%d bytes with MaxPayload %d: %v", c.size, c.option, err)
		}
	}
}

func TestServerWithOtherKeysIsRefused(t *testing.T) {
	b := memory.New(memory.Options{})
	in := brokertest.NewIntake("s", 1, occamy.HeaderKeys{Kind: "Other"}, "k")
	if err := b.Consume(t.Context(), in); err == nil || !strings.Contains(err.Error(), "Other") {
		t.Errorf("Consume: %v, want an error that tells of the other keys", err)
	}
}

func TestSubmitKeepsACopy(t *testing.T) {
	inBubble(t, memory.Options{}, 1, func(b bench) {
		r := broker.Request{Kind: "k", ID: "r1", Headers: occamy.Headers{"X": "before"}, Body: []byte("before")}
		b.must(b.Submit(b.Context(), r))
		r.Headers["X"] = "after"
		copy(r.Body, "after!")
		m := b.wantTaken("r1")[0]
		if m.Headers()["X"] != "before" || string(m.Body()) != "before" {
			b.Errorf("the message changed with the caller's request: %v %q", m.Headers(), m.Body())
		}
		b.must(m.Reject(b.Context(), false))
		d, err := b.DeadLetter(b.Context(), "r1")
		b.must(err)
		d.Headers["X"] = "after"
		copy(d.Body, "after!")
		if d, err = b.DeadLetter(b.Context(), "r1"); err != nil || d.Headers["X"] != "before" || string(d.Body) != "before" {
			b.Errorf("the dead letter changed with what a caller got: %+v, %v", d, err)
		}
	})
}

func TestReturnedRequestsKeepTheirPlaces(t *testing.T) {
	inBubble(t, memory.Options{}, 4, func(b bench) {
		b.submit("r1", "r2", "r3", "r4", "r5", "r6")
		ms := b.wantTaken("r1", "r2", "r3", "r4")
		b.must(ms[1].(occamy.Leased).KeepAlive(b.Context())) // the last to expire now
		b.must(ms[3].Ack(b.Context()))
		b.must(ms[0].Reject(b.Context(), true))
		b.in.Free(1)
		b.wantTaken("r1")                       // before r5: it has waited longer
		pass(30*time.Second + time.Millisecond) // the leases end first, not at that very moment
		b.in.Free(5)
		b.wantTaken("r1", "r2", "r3", "r5", "r6")
	})
}

func TestNotifyLost(t *testing.T) {
	inBubble(t, memory.Options{}, 4, func(b bench) {
		var told []string
		notify := func(m occamy.Message, id string) {
			m.(occamy.LossNotifier).NotifyLost(func() { told = append(told, id) })
		}
		b.submit("acked", "expired", "other")
		ms := b.wantTaken("acked", "expired", "other")
		for i, id := range []string{"acked", "expired", "other"} {
			notify(ms[i], id)
		}
		b.must(ms[0].Ack(b.Context()))
		notify(ms[0], "after the ack")
		pass(20 * time.Second)
		b.must(ms[2].(occamy.Leased).KeepAlive(b.Context()))
		pass(10 * time.Second)
		synctest.Wait()
		if !slices.Equal(told, []string{"expired"}) {
			b.Errorf("the loss of %v was told, want that of expired", told)
		}
		notify(ms[1], "late")
		if !slices.Equal(told, []string{"expired", "late"}) {
			b.Errorf("after the loss, it was not told at once: %v", told)
		}
	})
}

func TestNotifyLostOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Options{})
		in := brokertest.NewIntake("s", 1, occamy.HeaderKeys{}, "k")
		ended := make(chan error, 1)
		go func() { ended <- b.Consume(t.Context(), in) }()
		if err := b.Submit(t.Context(), broker.Request{Kind: "k", ID: "r1"}); err != nil {
			t.Fatal(err)
		}
		lost := make(chan struct{})
		(<-in.Requests()).(occamy.LossNotifier).NotifyLost(func() { close(lost) })
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		<-lost
		if err := <-ended; !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Consume: %v, want ErrClosed", err)
		}
	})
}

func TestMessagesCostNoGoroutine(t *testing.T) {
	inBubble(t, memory.Options{}, 1000, func(b bench) {
		before := runtime.NumGoroutine()
		for i := range 1000 {
			b.submit(fmt.Sprint(i))
		}
		held := b.taken()
		if n := runtime.NumGoroutine(); len(held) != 1000 || n > before {
			b.Errorf("%d held messages and %d goroutines, want 1000 and %d", len(held), n, before)
		}
		for _, m := range held {
			b.must(m.(occamy.DelayedRequeuer).RequeueAfter(b.Context(), time.Hour))
		}
		if n := runtime.NumGoroutine(); n > before {
			b.Errorf("%d goroutines with 1000 requests put off, want %d", n, before)
		}
	})
}
