package nats_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// An idle server whose slots suffice for its kinds asks NATS for nothing.
func TestAnIdleServerDoesNotPoll(t *testing.T) {
	s := startServer(t, embedded.Config{})
	b := open(t, nats.Config{URL: s.URL()})
	c := consume(t, b, 3, "j", "k", "l")
	for _, kind := range []string{"j", "k", "l"} {
		submit(t, b, kind, "warm-"+kind)
		ack(t, c.next(t))
		c.Free(1)
	}
	// The turns that the last requests began end first.
	before, since := uint64(0), time.Now()
	eventually(t, "it has asked for what it can take", func() bool {
		if now := b.Conn().Stats().OutMsgs; now != before {
			before, since = now, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
	c.quiet(t, time.Second)
	if after := b.Conn().Stats().OutMsgs; after != before {
		t.Errorf("it sent %d messages while idle", after-before)
	}
}

// All slots go to the kind that has requests, wherever the promises were.
func TestABacklogTakesTheRoomOfIdleKinds(t *testing.T) {
	s := startServer(t, embedded.Config{})
	b := open(t, nats.Config{URL: s.URL()})
	c := consume(t, b, 8, "j", "k", "l")
	submit(t, b, "l", "warm")
	ack(t, c.next(t))
	c.Free(1)

	for round, kind := range []string{"k", "j", "k", "l"} {
		sent := time.Now()
		submit(t, b, kind, ids(kind+string(rune('a'+round)), 10)...)
		var got []occamy.Message
		for range 8 {
			got = append(got, c.next(t))
		}
		if waited := time.Since(sent); waited > 2*time.Second {
			t.Errorf("eight requests of kind %s had all room after %v", kind, waited)
		}
		c.quiet(t, 50*time.Millisecond)
		for _, m := range got {
			ack(t, m)
		}
		c.Free(8)
		for range 2 {
			ack(t, c.next(t))
		}
		c.Free(2)
	}
	if surplus := c.Surplus(); len(surplus) > 0 {
		t.Error(surplus)
	}
}

func TestMoreKindsThanSlots(t *testing.T) {
	s := startServer(t, embedded.Config{})
	b := open(t, nats.Config{URL: s.URL()})
	kinds := ids("kind", 12)
	c := consume(t, b, 2, kinds...)
	for _, kind := range slices.Backward(kinds) {
		sent := time.Now()
		submit(t, b, kind, "r-"+kind)
		m := c.next(t)
		if waited := time.Since(sent); waited > time.Second {
			t.Errorf("%s waited %v for its turn", idOf(m), waited)
		}
		ack(t, m)
		c.Free(1)
	}
	if surplus := c.Surplus(); len(surplus) > 0 {
		t.Error(surplus)
	}
}

// Orderly returns, early and late, are no crashes.
func TestDelayedRequeuesAreNoCrashes(t *testing.T) {
	s := startServer(t, embedded.Config{})
	b := open(t, nats.Config{URL: s.URL(), MaxDeliver: 1})
	c := consume(t, b, 1, "k")
	submit(t, b, "k", "r1")
	for attempt := 1; attempt <= 5; attempt++ {
		m := c.next(t)
		if n := m.(occamy.Attempter).Attempt(); n != attempt {
			t.Errorf("attempt %d, want %d", n, attempt)
		}
		if err := m.(occamy.DelayedRequeuer).RequeueAfter(within(t), 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		c.Free(1)
		eventually(t, "it is back in the queue", func() bool {
			q, err := b.Queues(within(t))
			return err == nil && len(q) == 1 && q[0].Ready+q[0].Unacked == 1
		})
	}
	ack(t, c.next(t))
	if dead, err := b.DeadLetters(within(t), 0); err != nil || len(dead) > 0 {
		t.Errorf("dead letters: %v, %v", dead, err)
	}
}

func TestTheLongestDelayIsOne(t *testing.T) {
	s := startServer(t, embedded.Config{})
	b := open(t, nats.Config{URL: s.URL()})
	c := consume(t, b, 1, "k")
	submit(t, b, "k", "delayed")
	if err := c.next(t).(occamy.DelayedRequeuer).RequeueAfter(within(t), math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	submit(t, b, "k", "next")
	c.Free(1)
	m := c.next(t)
	if id := idOf(m); id != "next" {
		t.Errorf("%q came at once", id)
	}
	ack(t, m)
}

func TestWorldsOnOneServerDoNotMeet(t *testing.T) {
	s := startServer(t, embedded.Config{})
	a := open(t, nats.Config{URL: s.URL(), Prefix: "a"})
	b := open(t, nats.Config{URL: s.URL(), Prefix: "b"})
	ca, cb := consume(t, a, 2, "k"), consume(t, b, 2, "k")
	submit(t, a, "k", "r1")
	ack(t, ca.next(t))
	submit(t, b, "k", "r1")
	m := cb.next(t)
	if err := m.(occamy.OutcomePublisher).PublishOutcome(within(t), occamy.Outcome{ID: "r1", Status: occamy.Completed}); err != nil {
		t.Fatal(err)
	}
	_, err := a.Result(within(t), "r1")
	wantIs(t, "Result in the other world", err, broker.ErrNotFound)
	ca.quiet(t, 50*time.Millisecond)
}

func TestAServerWithManySlotsShowsThem(t *testing.T) {
	s := startServer(t, embedded.Config{MaxPayload: 64 << 10})
	b := open(t, nats.Config{URL: s.URL()})
	consume(t, b, 20_000, "k")
	eventually(t, "its snapshot comes", func() bool {
		all, err := b.Servers(within(t), 2*time.Second)
		return err == nil && len(all) == 1 && len(all[0].Slots) == 20_000
	})
}

// Pulls are taken back and made anew while messages come: none is lost, delayed
// or delivered twice, and no promise goes astray.
func TestPullsAreRenewedWhileMessagesCome(t *testing.T) {
	s := startServer(t, embedded.Config{RelaxSync: true})
	client := open(t, nats.Config{URL: s.URL()})
	for name, kinds := range map[string][]string{"one": {"k"}, "several": {"j", "k", "l"}} {
		t.Run(name, func(t *testing.T) {
			b := open(t, nats.Config{URL: s.URL()})
			b.HurryPulls()
			c := consume(t, b, 8, kinds...)
			all := ids(name, 600)
			go func() {
				for i, id := range all {
					if err := client.Submit(within(t), requestOf(kinds[i%len(kinds)], id, 10)); err != nil {
						t.Errorf("Submit: %v", err)
					}
				}
			}()
			seen := make(map[string]int)
			for range all {
				m := c.next(t)
				seen[idOf(m)]++
				if n := m.(occamy.Attempter).Attempt(); n != 1 {
					t.Errorf("%s is attempt %d", idOf(m), n)
				}
				ack(t, m)
				c.Free(1)
			}
			if len(seen) != len(all) {
				t.Errorf("got %d requests of %d", len(seen), len(all))
			}
			if err := c.stop(); err != nil {
				t.Errorf("Consume: %v", err)
			}
			if surplus := c.Surplus(); len(surplus) > 0 {
				t.Error(surplus)
			}
			if now, most := c.Promised(); now != 0 || most > 8 {
				t.Errorf("%d promises are out, %d at most; want 0 and 8", now, most)
			}
		})
	}
}
