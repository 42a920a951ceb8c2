package brokertest

import (
	"time"

	"github.com/occamy-go/occamy"
)

var leaseTests = []test{
	{name: "work longer than the ack deadline stays its holder's", needs: Lease, run: longWork, opts: Options{AckWait: shortLease, MaxDeliver: 4}},
	{name: "a lost lease settles nothing", needs: Lease, run: lostLease, opts: Options{AckWait: shortLease, MaxDeliver: 4}},
	{name: "a lost lease leaves the result to the next holder", needs: Lease, run: lostLeaseOutcome, opts: Options{AckWait: shortLease, MaxDeliver: 4}},
}

func longWork(f *fixture) {
	a := f.consume("a", 1, "k")
	f.submit("k", "r1")
	m := f.next(a)
	if w := as[occamy.Leased](f, m).AckWait(); w != shortLease {
		f.Errorf("AckWait is %v, want %v", w, shortLease)
	}
	stop := f.hold(m)
	b := f.consume("b", 1, "k")
	f.quiet(b, 3*shortLease)
	stop()
	f.ack(m)
	f.settled("k")
	f.quiet(b, 2*shortLease)
}

// lose has a lose a delivery to b and returns both.
func (f *fixture) lose(a, b *consumer) (late, now occamy.Message) {
	f.Helper()
	late = f.next(a)
	now = f.next(b)
	f.wantID(now, f.id(late))
	if n := f.attempt(now); n != f.attempt(late)+1 {
		f.Errorf("the delivery after attempt %d is attempt %d", f.attempt(late), n)
	}
	return late, now
}

func lostLease(f *fixture) {
	a := f.consume("a", 1, "k")
	f.submit("k", "r1")
	f.eventually("a holds r1", func() bool { return f.queue("k").Unacked == 1 })
	b := f.consume("b", 1, "k")
	late, now := f.lose(a, b)
	stop := f.hold(now)

	f.wantIs("late KeepAlive", as[occamy.Leased](f, late).KeepAlive(f.within()), occamy.ErrDeliveryLost)
	f.wantLost(late)
	if q := f.queue("k"); q.Unacked != 1 || q.Ready != 0 || q.Dead != 0 {
		f.Errorf("after the late settlements the queue is %+v, want one message that is held", q)
	}
	if _, err := f.client.Result(f.within(), "r1"); err == nil {
		f.Error("the late outcome was published")
	}
	a.Free(1)
	f.quiet(a, 2*shortLease) // still b's
	stop()
	f.ack(now)
	f.settled("k")
	a.Free(1)
	b.Free(1)
	f.quiet(a, 2*shortLease)
	f.quiet(b, 100*time.Millisecond)
}

func lostLeaseOutcome(f *fixture) {
	a := f.consume("a", 1, "k")
	f.submit("k", "r1")
	f.eventually("a holds r1", func() bool { return f.queue("k").Unacked == 1 })
	b := f.consume("b", 1, "k")
	late, now := f.lose(a, b)
	f.hold(now)
	mine := as[occamy.ProgressKeeper](f, now)
	f.check("PublishProgress", mine.PublishProgress(f.within(), []byte("from b")))
	f.wantIs("late PublishProgress", as[occamy.ProgressKeeper](f, late).PublishProgress(f.within(), []byte("from a")), occamy.ErrDeliveryLost)
	if p, err := mine.LastProgress(f.within()); err != nil || string(p) != "from b" {
		f.Errorf("the last progress is %q (%v), want that of the holder", p, err)
	}
	want := occamy.Outcome{ID: "r1", Kind: "k", Status: occamy.Completed, Result: []byte("from b"), Attempt: 2, Server: "b"}
	f.check("PublishOutcome", as[occamy.OutcomePublisher](f, now).PublishOutcome(f.within(), want))
	stale := want
	stale.Result, stale.Server, stale.Attempt = []byte("from a"), "a", 1
	f.wantIs("late PublishOutcome", as[occamy.OutcomePublisher](f, late).PublishOutcome(f.within(), stale), occamy.ErrDeliveryLost)
	f.wantOutcome(f.client, want)
	f.ack(now)
}
