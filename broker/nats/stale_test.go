package nats_test

import (
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// A delivery that lay in a connection for longer than its lease, since the
// process or the network stood still, does not run: somebody else has it.
func TestADeliveryThatIsReadTooLateDoesNotRun(t *testing.T) {
	s := startServer(t, embedded.Config{RelaxSync: true})
	p := newProxy(t, s.URL()[len("nats://"):])
	told := make(chan error, 64)
	late, err := nats.Open(within(t), nats.Config{URL: p.url(), AckWait: time.Second, OnError: func(err error) {
		select {
		case told <- err:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = late.Close() })
	a := consume(t, late, 1, "k")
	submit(t, late, "k", "warm")
	ack(t, a.next(t))
	a.Free(1)
	client := open(t, nats.Config{URL: s.URL()})
	eventually(t, "a waits for a request", func() bool {
		q, err := client.Queues(within(t))
		return err == nil && len(q) == 1 && q[0].Unacked == 0
	})

	p.each(func(c *proxied) { c.set(true, false) })
	submit(t, client, "k", "r1")
	eventually(t, "it is on its way to a", func() bool {
		q, err := client.Queues(within(t))
		return err == nil && len(q) == 1 && q[0].Unacked == 1
	})
	b := consume(t, client, 1, "k")
	m := b.next(t)
	if n := m.(occamy.Attempter).Attempt(); idOf(m) != "r1" || n != 2 {
		t.Fatalf("b got %s as attempt %d", idOf(m), n)
	}

	p.each(func(c *proxied) { c.set(false, false) })
	select {
	case err := <-told:
		if !strings.Contains(err.Error(), "may be with another server") {
			t.Errorf("told %v", err)
		}
	case got := <-a.Requests():
		t.Errorf("a runs %s, which b has", idOf(got))
	case <-within(t).Done():
		t.Fatal("nothing came to a")
	}
	ack(t, m)
	if err := b.stop(); err != nil {
		t.Errorf("Consume of b: %v", err)
	}
	submit(t, client, "k", "r2")
	if m := a.next(t); idOf(m) != "r2" {
		t.Errorf("a got %s, want r2", idOf(m))
	} else {
		ack(t, m)
	}
}

// What NATS delivers right before a pull ends is not late, however long pulls
// have gone on without a break.
func TestNoRequestIsTooLateForAPullThatIsOpen(t *testing.T) {
	s := startServer(t, embedded.Config{RelaxSync: true})
	const ackWait, slots = 4 * time.Second, 8
	b, err := nats.Open(within(t), nats.Config{URL: s.URL(), AckWait: ackWait, OnError: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	c := consume(t, b, slots, "k")
	// Each request takes the oldest pull, shortly before that would end.
	next := time.NewTicker(ackWait / 4 / slots * 95 / 100)
	defer next.Stop()
	for _, id := range ids("r", 60) {
		<-next.C
		submit(t, b, "k", id)
		m := c.next(t)
		if n := m.(occamy.Attempter).Attempt(); n != 1 {
			t.Errorf("%s came as attempt %d", idOf(m), n)
		}
		ack(t, m)
		c.Free(1)
	}
}
