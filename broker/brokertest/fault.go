package brokertest

import (
	"context"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// crash ends a consumer as the death of its server would.
func (f *fixture) crash(c *consumer) {
	f.Helper()
	f.world.Crash(f.TB, c.conn)
	c.cancel()
	f.await("Consume of a crashed server to return", c.ended)
}

var faultTests = []test{
	{name: "what a crashed server held goes to another", run: crashReturns, opts: Options{AckWait: shortLease}},
	{name: "a request that crashes its servers becomes a dead letter", needs: DeliveryLimit, run: crashLimit, opts: Options{AckWait: shortLease, MaxDeliver: 3}},
	{name: "closing returns what was not started", run: closingReturns},
	{name: "no request is lost or doubled by servers that come and go", run: comeAndGo},
	{name: "a lost connection comes back for a server", needs: Interruption, run: serverReconnects},
	{name: "a lost connection comes back for a client", needs: Interruption, run: clientReconnects},
	{name: "a ping tells whether there is a connection now", needs: Interruption, run: pingTells},
}

func crashReturns(f *fixture) {
	a := f.consume("a", 2, "k")
	f.submit("k", "r1", "r2", "r3")
	for range 2 {
		f.next(a)
	}
	f.crash(a)
	b := f.consume("b", 8, "k")
	attempts := make(map[string]int)
	for range 3 {
		m := f.next(b)
		attempts[f.id(m)] = f.attempt(m)
		f.ack(m)
	}
	if attempts["r1"] != 2 || attempts["r2"] != 2 || attempts["r3"] != 1 {
		f.Errorf("after the crash the attempts are %v, want r1 and r2 2, r3 1", attempts)
	}
	f.settled("k")
}

func crashLimit(f *fixture) {
	f.check("Submit", f.client.Submit(f.within(), broker.Request{
		Kind: "k", ID: "r1", Headers: occamy.Headers{"X-Who": "me"}, Body: []byte("poison"),
	}))
	events := f.watch(f.client, "r1")
	for attempt := 1; attempt <= 3; attempt++ {
		c := f.consume("s", 1, "k")
		m := f.next(c)
		if n := f.attempt(m); n != attempt {
			f.Errorf("attempt %d came as attempt %d", attempt, n)
		}
		f.crash(c)
	}
	last := f.consume("last", 1, "k")
	d := f.deadLetter("r1")
	if d.Reason == "" || d.Attempts != 3 || string(d.Body) != "poison" || d.Kind != "k" {
		f.Errorf("the dead letter is %+v, want one that tells of 3 attempts and why", d)
	}
	f.wantHeaders(d.Headers, occamy.Headers{"X-Who": "me"})
	if o := f.lastEvent(events).Outcome; o == nil || o.Status != occamy.Rejected || o.Reason == "" || o.ID != "r1" {
		f.Errorf("a client that waits gets %+v, want a rejection", o)
	}
	f.quiet(last, 2*shortLease)
	if q := f.queue("k"); q.Ready != 0 || q.Unacked != 0 || q.Dead != 1 {
		f.Errorf("the queue is %+v, want one dead letter", q)
	}
}

func closingReturns(f *fixture) {
	a := f.consume("a", 3, "k")
	ids := names("r", 10)
	f.submit("k", ids...)
	var held []occamy.Message
	for range 3 {
		held = append(held, f.next(a))
	}
	f.stop(a)
	b := f.consume("b", 16, "k")
	for _, id := range ids[3:] {
		m := f.next(b)
		f.wantID(m, id)
		if n := f.attempt(m); n != 1 {
			f.Errorf("%s is attempt %d: it counts as delivered to a, which did not take it", id, n)
		}
		f.ack(m)
	}
	for _, m := range held { // handed over, so settleable after Consume
		f.ack(m)
	}
	f.settled("k")
}

func comeAndGo(f *fixture) {
	const rounds = 25
	var taken []occamy.Message
	for i, id := range names("r", rounds) {
		in := NewIntake("s", 1, f.keys, "k")
		conn := f.world.Connect(f.TB)
		ctx, cancel := context.WithCancel(f.ctx)
		ended := make(chan error, 1)
		go func() { ended <- conn.Consume(ctx, in) }()
		f.submit("k", id)
		if i%2 == 0 { // with and without a chance that it has been taken
			select {
			case m := <-in.Requests():
				taken = append(taken, m)
			case <-time.After(time.Duration(i) * time.Millisecond):
			}
		}
		cancel()
		select {
		case err := <-ended:
			f.check("Consume whose ctx has ended", err)
		case <-f.within().Done():
			f.Fatalf("Consume did not return after its ctx had ended")
		}
		for {
			select {
			case m := <-in.Requests():
				taken = append(taken, m)
				continue
			default:
			}
			break
		}
		if now, _ := in.Promised(); now != 0 {
			f.Fatalf("Consume returned with %d promises that it did not give back", now)
		}
	}
	got := make(map[string]bool)
	add := func(m occamy.Message) {
		if got[f.id(m)] {
			f.Errorf("%s was delivered twice", f.id(m))
		}
		got[f.id(m)] = true
		f.ack(m)
	}
	for _, m := range taken {
		add(m)
	}
	last := f.consume("last", rounds, "k")
	for len(got) < rounds {
		add(f.next(last))
	}
	f.settled("k")
	f.quiet(last, 100*time.Millisecond)
}

func serverReconnects(f *fixture) {
	a := f.consume("a", 4, "k")
	f.submit("k", "before")
	before := f.next(a)
	stop := f.holdThroughCut(before)
	acked := make(map[string]bool)
	// comesAgain takes what a cut may bring back.
	comesAgain := func(m occamy.Message) bool {
		switch id := f.id(m); {
		case f.lacks[Lease] != "" && id == "before": // lost with the connection
			before = m
		case f.lacks[ConfirmedAck] != "" && acked[id] && f.attempt(m) > 1:
			f.ack(m)
		default:
			return false
		}
		a.Free(1)
		return true
	}
	next := func() occamy.Message {
		m := f.next(a)
		for comesAgain(m) {
			m = f.next(a)
		}
		return m
	}
	for _, id := range []string{"r1", "r2"} {
		f.world.Cut(f.TB, a.conn)
		f.submit("k", id)
		for cut := time.After(300 * time.Millisecond); cut != nil; {
			select {
			case m := <-a.Requests():
				if !comesAgain(m) { // it was on its way since the last cut
					f.Fatalf("a got request %q over a cut connection", f.id(m))
				}
			case <-cut:
				cut = nil
			}
		}
		a.Place(id)
		f.world.Heal(f.TB, a.conn)
		m := next()
		f.wantID(m, id)
		f.ack(m)
		acked[id] = true
		f.warm(id, a)
		f.eventually("a is listed again", func() bool { return len(f.servers()) == 1 })
	}
	stop()
	for err := before.Ack(f.within()); err != nil; err = before.Ack(f.within()) {
		f.wantIs("Ack of a delivery from before the cut", err, occamy.ErrDeliveryLost)
		for lost := before; before == lost; {
			if m := f.next(a); !comesAgain(m) {
				f.wantID(m, "before")
				before = m
			}
		}
	}
	f.eventually("nothing of the kind k is left", func() bool {
		select {
		case m := <-a.Requests():
			if id := f.id(m); !acked[id] || !comesAgain(m) {
				f.Fatalf("a got request %q again", id)
			}
		default:
		}
		q := f.queue("k")
		return q.Ready == 0 && q.Unacked == 0
	})
}

// holdThroughCut is hold for a message whose connection is cut meanwhile.
func (f *fixture) holdThroughCut(m occamy.Message) (stop func()) {
	l, ok := m.(occamy.Leased)
	if !ok || l.AckWait() <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = l.KeepAlive(ctx) // the settlement shows whether it was lost
			select {
			case <-ctx.Done():
			case <-time.After(l.AckWait() / 8):
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

func clientReconnects(f *fixture) {
	a := f.consume("a", 4, "k")
	conn := f.world.Connect(f.TB)
	f.submit("k", "watched")
	events := f.watch(conn, "watched")
	watched := f.next(a)

	f.world.Cut(f.TB, conn)
	short, cancel := context.WithTimeout(f.ctx, 200*time.Millisecond)
	defer cancel()
	if err := conn.Submit(short, request("k", "in vain")); err == nil {
		f.Error("Submit over a cut connection says that the broker keeps the request")
	}
	submitted := make(chan error, 1)
	go func() { submitted <- conn.Submit(f.ctx, request("k", "patient")) }()
	want := occamy.Outcome{ID: "watched", Kind: "k", Status: occamy.Completed, Attempt: 1, Server: "a"}
	f.check("PublishOutcome", as[occamy.OutcomePublisher](f, watched).PublishOutcome(f.within(), want))
	f.ack(watched)
	select {
	case err := <-submitted:
		f.Fatalf("Submit over a cut connection returned %v before it was back", err)
	case <-time.After(300 * time.Millisecond):
	}
	f.world.Heal(f.TB, conn)
	select {
	case err := <-submitted:
		f.check("Submit that waited for the connection", err)
	case <-f.within().Done():
		f.Fatalf("Submit did not return after the connection was back")
	}
	got := make(map[string]bool) // the one in vain may have been kept
	for !got["patient"] {
		m := f.next(a)
		got[f.id(m)] = true
		f.ack(m)
	}
	if o := f.lastEvent(events).Outcome; o == nil || o.Status != occamy.Completed {
		f.Errorf("the outcome of the time without a connection came as %+v", o)
	}
}

// pingTells is about brokers that are a broker.Pinger.
func pingTells(f *fixture) {
	conn := f.world.Connect(f.TB)
	p, ok := conn.(broker.Pinger)
	if !ok {
		f.Logf("%T is no broker.Pinger, which it may be", conn)
		return
	}
	for range 2 {
		f.check("Ping", p.Ping(f.within()))
		f.world.Cut(f.TB, conn)
		f.eventually("a ping over a cut connection fails", func() bool {
			ctx, cancel := context.WithTimeout(f.ctx, patience/4)
			defer cancel()
			err := p.Ping(ctx)
			if ctx.Err() != nil {
				f.Errorf("a ping does not notice that the connection is cut: %v", err)
			}
			return err != nil
		})
		f.world.Heal(f.TB, conn)
		f.eventually("a ping over a healed connection is answered", func() bool { return p.Ping(f.within()) == nil })
	}
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	for range 20 { // not when the answer is faster either
		f.wantIs("Ping whose ctx has ended", p.Ping(ctx), context.Canceled)
	}
	f.check("Close", conn.Close())
	f.wantIs("Ping after Close", p.Ping(f.within()), broker.ErrClosed)
}
