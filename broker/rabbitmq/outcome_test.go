//go:build services

package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
	"github.com/occamy-go/occamy/client"
)

func outcomeOf(id string) occamy.Outcome {
	return occamy.Outcome{ID: id, Kind: "k", Status: occamy.Completed, Result: []byte("result of " + id), Attempt: 1, Server: "a"}
}

func publish(t testing.TB, b *rabbitmq.Broker, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := b.PublishOutcome(within(t), outcomeOf(id)); err != nil {
			t.Fatalf("PublishOutcome of %s: %v", id, err)
		}
	}
}

// end returns the outcome that a watch tells.
func end(t testing.TB, events <-chan broker.Event) *occamy.Outcome {
	t.Helper()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatal("the watch ended without an outcome")
			}
			if e.Outcome != nil {
				return e.Outcome
			}
		case <-within(t).Done():
			t.Fatal("the watch tells nothing")
		}
	}
}

// sameStream returns IDs whose outcomes stand in the stream of the first one.
func sameStream(first string, n int) []string {
	same := []string{first}
	for i := 0; len(same) < n; i++ {
		if id := fmt.Sprint("same", i); rabbitmq.StreamOf(id) == rabbitmq.StreamOf(first) {
			same = append(same, id)
		}
	}
	return same
}

// What ends while a watch has no connection it tells once that is back, whether
// it has ever looked for an outcome or not; and so with progress.
func TestAWatchMissesNothingOverALostConnection(t *testing.T) {
	url, c := nodeURL(t), newCable()
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	server := open(t, cfg)
	cfg.Dial = c.dial
	b := open(t, cfg)
	const n = 30
	var watches []<-chan broker.Event
	all := ids("r", n)
	for i, id := range all {
		watch := b.Watch
		if i%2 == 0 {
			watch = b.WatchNew
		}
		events, err := watch(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		watches = append(watches, events)
	}
	for round := range 2 {
		c.cut()
		for _, id := range all {
			if err := server.PublishProgress(within(t), id, fmt.Append(nil, round)); err != nil {
				t.Fatal(err)
			}
		}
		c.heal()
		for i, events := range watches {
			select {
			case e := <-events:
				if string(e.Progress) != fmt.Sprint(round) {
					t.Errorf("the watch of %s told %+v after the cut, want the progress %d", all[i], e, round)
				}
			case <-within(t).Done():
				t.Fatalf("the watch of %s did not tell of the progress that it missed", all[i])
			}
		}
	}
	c.cut()
	publish(t, server, all...)
	c.heal()
	for i, events := range watches {
		if o := end(t, events); o.ID != all[i] {
			t.Errorf("the watch of %s told the outcome of %s", all[i], o.ID)
		}
	}
}

// Many who want an outcome at the same time look through the stream together.
func TestLooksAreShared(t *testing.T) {
	url := nodeURL(t)
	prefix := newPrefix(t, url)
	b := open(t, rabbitmq.Config{URL: url, Prefix: prefix})
	all := sameStream("r", 200)
	publish(t, b, all[:100]...)
	var looking sync.WaitGroup
	for i, id := range all {
		looking.Go(func() {
			o, err := b.Result(within(t), id)
			switch {
			case i < 100 && (err != nil || o.ID != id):
				t.Errorf("Result of %s: %+v, %v", id, o, err)
			case i >= 100 && !errors.Is(err, broker.ErrNotFound):
				t.Errorf("Result of %s, which has none: %+v, %v", id, o, err)
			}
		})
	}
	looking.Wait()
	publish(t, b, "last")
	marks := 0
	for _, d := range stream(t, url, prefix, rabbitmq.StreamOf("r"), len(all)/2) {
		if d.Type == "mark" {
			marks++
		}
	}
	// One look is under way when the rest come; a few more where they come late.
	if marks == 0 || marks > len(all)/4 {
		t.Errorf("%d results cost %d looks", len(all), marks)
	}
}

// stream returns what a stream has, outcomes and marks, from at least so many
// outcomes on.
func stream(t testing.TB, url, prefix string, n, outcomes int) (all []amqp.Delivery) {
	t.Helper()
	ch := bare(t, url)
	if err := ch.Qos(1000, 0, false); err != nil {
		t.Fatal(err)
	}
	letters, err := ch.Consume(fmt.Sprintf("%s.outcomes.%d", prefix, n), "", false, false, false, false, amqp.Table{"x-stream-offset": "first"})
	if err != nil {
		t.Fatal(err)
	}
	end := amqp.Publishing{Type: "the test's end"}
	if err := ch.PublishWithContext(within(t), "", fmt.Sprintf("%s.outcomes.%d", prefix, n), true, false, end); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case d := <-letters:
			if d.Type == end.Type {
				return all
			}
			all = append(all, d)
		case <-within(t).Done():
			t.Fatal("the stream has no end")
		}
	}
}

// The newest outcome counts, among those of several connections.
func TestTheLastOutcomeCounts(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	a, b := open(t, cfg), open(t, cfg)
	for i := range 20 {
		o := outcomeOf("r")
		o.Attempt = i
		from := []*rabbitmq.Broker{a, b}[i%2]
		if err := from.PublishOutcome(within(t), o); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Result(within(t), "r"); err != nil || got.Attempt != i {
			t.Fatalf("Result: %+v, %v; want attempt %d", got, err, i)
		}
	}
}

// Two who read progress at the same time both get it, though a queue gives each
// message to one.
func TestLastProgressIsReadByMany(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			b := open(t, cfg)
			if p, err := b.LastProgress(within(t), "r"); err != nil || p != nil {
				t.Fatalf("before there is any: %q, %v", p, err)
			}
			for i := range 3 {
				if err := b.PublishProgress(within(t), "r", fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
			}
			var reading sync.WaitGroup
			for range 4 {
				reading.Go(func() {
					if p, err := b.LastProgress(within(t), "r"); err != nil || string(p) != "2" {
						t.Errorf("LastProgress: %q, %v; want 2", p, err)
					}
				})
			}
			reading.Wait()
			if err := b.PublishProgress(within(t), "r", nil); err != nil {
				t.Fatal(err)
			}
			if p, err := b.LastProgress(within(t), "r"); err != nil || p == nil || len(p) != 0 {
				t.Errorf("progress of no bytes came as %v, %v", p, err)
			}
			b.ForgetProgress("r")
			eventually(t, "it is forgotten", func() bool {
				p, err := b.LastProgress(within(t), "r")
				return err == nil && p == nil
			})
		})
	}
}

// A queue of progress that somebody removed, or that expired, is made again.
func TestProgressWithoutItsQueue(t *testing.T) {
	url := nodeURL(t)
	prefix := newPrefix(t, url)
	b := open(t, rabbitmq.Config{URL: url, Prefix: prefix})
	ch := bare(t, url)
	for _, want := range []string{"1", "2"} {
		if err := b.PublishProgress(within(t), "r", []byte(want)); err != nil {
			t.Fatal(err)
		}
		if p, err := b.LastProgress(within(t), "r"); err != nil || string(p) != want {
			t.Errorf("LastProgress: %q, %v; want %s", p, err, want)
		}
		if _, err := ch.QueueDelete(prefix+".progress.r", false, false, false); err != nil {
			t.Fatal(err)
		}
	}
}

// Each watch costs the connection one binding at a time and nothing when it is
// over: an ID can be watched again and again.
func TestWatchesComeAndGo(t *testing.T) {
	url := nodeURL(t)
	b := open(t, rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)})
	for i := range 30 {
		id := fmt.Sprint("r", i%3)
		ctx, cancel := context.WithCancel(t.Context())
		gone, err := b.Watch(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		events, err := b.Watch(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, b, id)
		if got := end(t, events); got.ID != id {
			t.Errorf("watch %d of %s told %+v", i, id, got)
		}
		for range gone {
		}
	}
}

// A client that submits and waits has the progress and the outcome sent to its
// address, which stays with the request when it is handed over, and when the
// client's connection was lost meanwhile.
func TestSubmitAndWait(t *testing.T) {
	url, c := nodeURL(t), newCable()
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	server := open(t, cfg)
	cfg.Dial = c.dial
	b := open(t, cfg)
	a := consume(t, server, 1, "k")
	for _, cut := range []bool{false, true} {
		type end struct {
			o   occamy.Outcome
			err error
		}
		ended, told := make(chan end, 1), make(chan string, 10)
		go func() {
			o, err := client.New(b).SubmitAndWait(context.Background(), client.Request{Kind: "k"}, func(p []byte) { told <- string(p) })
			ended <- end{o, err}
		}()
		m := a.next(t)
		if err := m.Reject(within(t), true); err != nil {
			t.Fatal(err)
		}
		a.Free(1)
		m = a.next(t)
		if cut {
			c.cut()
		}
		if err := m.(occamy.ProgressKeeper).PublishProgress(within(t), []byte("half")); err != nil {
			t.Fatal(err)
		}
		if cut {
			c.heal()
		}
		select {
		case p := <-told:
			if p != "half" {
				t.Errorf("got the progress %q", p)
			}
		case <-within(t).Done():
			t.Fatal("no progress came")
		}
		if err := m.(occamy.OutcomePublisher).PublishOutcome(within(t), outcomeOf(idOf(m))); err != nil {
			t.Fatal(err)
		}
		ack(t, m)
		a.Free(1)
		select {
		case e := <-ended:
			if e.err != nil || e.o.ID != idOf(m) {
				t.Errorf("SubmitAndWait: %+v, %v", e.o, e.err)
			}
		case <-within(t).Done():
			t.Fatal("SubmitAndWait does not return")
		}
	}
}

// Close ends a watch that waits for its connection.
func TestCloseEndsAWatchWithoutAConnection(t *testing.T) {
	url, c := nodeURL(t), newCable()
	b := open(t, rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), Dial: c.dial})
	events, err := b.Watch(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	c.cut()
	failed := make(chan error, 1)
	go func() {
		_, err := b.Watch(t.Context(), "r2")
		failed <- err
	}()
	select {
	case err := <-failed:
		t.Fatalf("Watch without a connection gives %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, ok := <-events; ok {
		t.Error("the watch told something")
	}
	wantIs(t, "Watch", <-failed, broker.ErrClosed)
}
