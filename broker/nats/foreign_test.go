package nats_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// Requests may be published without Occamy, with nothing but a subject.
func TestRequestsFromElsewhere(t *testing.T) {
	s := startServer(t, embedded.Config{})
	b := open(t, nats.Config{URL: s.URL(), MaxDeliver: 2})
	c := consume(t, b, 1, "k")
	nc := bare(t, s)
	publish := func(h natsgo.Header, body []byte) {
		t.Helper()
		if _, err := nc.RequestMsgWithContext(within(t), &natsgo.Msg{Subject: "occamy.request.k", Header: h, Data: body}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the stream is there", func() bool {
		_, err := nc.Request("occamy.request.k", []byte("warm"), natsgo.DefaultTimeout)
		return err == nil
	})
	ack(t, c.next(t))
	c.Free(1)

	publish(nil, []byte("body"))
	m := c.next(t)
	if want := (occamy.Headers{"Occamy-Kind": "k"}); !reflect.DeepEqual(m.Headers(), want) || string(m.Body()) != "body" {
		t.Errorf("got %v and %q, want the kind of the queue", m.Headers(), m.Body())
	}
	if err := m.(occamy.OutcomePublisher).PublishOutcome(within(t), occamy.Outcome{Status: occamy.Completed}); err != nil {
		t.Errorf("an outcome that nobody can ask for: %v", err)
	}
	// Progress has a place even without an ID, and follows the copies.
	for _, step := range []string{"one", "two"} {
		if err := m.(occamy.ProgressKeeper).PublishProgress(within(t), []byte(step)); err != nil {
			t.Fatal(err)
		}
		if err := m.Reject(within(t), true); err != nil {
			t.Fatal(err)
		}
		c.Free(1)
		m = c.next(t)
		if got, err := m.(occamy.ProgressKeeper).LastProgress(within(t)); err != nil || string(got) != step {
			t.Errorf("the next attempt finds %q, %v; want %q", got, err, step)
		}
	}
	ack(t, m)
	c.Free(1)

	publish(natsgo.Header{"Occamy-Request-Id": {"a", "b"}}, nil)
	m = c.next(t)
	if id, ok := m.Headers()["Occamy-Request-Id"].([]string); !ok || len(id) != 2 {
		t.Errorf("an ID that is there twice is %v", m.Headers()["Occamy-Request-Id"])
	}
	ack(t, m)
	c.Free(1)

	publish(natsgo.Header{"Occamy-Jetstream-Crashes": {"-7"}, "Occamy-Jetstream-Deliveries": {"many"}}, nil)
	m = c.next(t)
	if n := m.(occamy.Attempter).Attempt(); n != 1 {
		t.Errorf("attempt %d, want 1", n)
	}
	ack(t, m)
}

// A request that fills NATS to the last byte can be given back and rejected.
func TestRequestsThatLeaveNoRoom(t *testing.T) {
	s := startServer(t, embedded.Config{MaxPayload: 64 << 10})
	b := open(t, nats.Config{URL: s.URL()})
	c := consume(t, b, 1, "k")
	nc := bare(t, s)
	eventually(t, "the stream is there", func() bool {
		_, err := nc.Request("occamy.request.k", bytes.Repeat([]byte{'x'}, 64<<10), natsgo.DefaultTimeout)
		return err == nil
	})
	m := c.next(t)
	if err := m.Reject(within(t), true); err != nil {
		t.Fatalf("requeue: %v", err)
	}
	c.Free(1)
	m = c.next(t)
	if len(m.Body()) != 64<<10 {
		t.Errorf("it came back with %d bytes", len(m.Body()))
	}
	if err := m.(occamy.ReasonedRejecter).RejectFor(within(t), strings.Repeat("why ", 1<<15)); err != nil {
		t.Fatalf("reject: %v", err)
	}
	dead, err := b.DeadLetters(within(t), 0)
	if err != nil || len(dead) != 1 {
		t.Fatalf("dead letters: %v, %v", dead, err)
	}
	if d := dead[0]; d.Kind != "k" || !strings.Contains(d.Reason, "why why") || !strings.Contains(d.Reason, "65536 bytes did not fit") {
		t.Errorf("the dead letter is of kind %q, with the reason %q", d.Kind, d.Reason)
	}
}

// What Submit takes fits on its whole way, whatever becomes of it.
func TestWhatSubmitTakesFitsToTheEnd(t *testing.T) {
	s := startServer(t, embedded.Config{MaxPayload: 64 << 10})
	b := open(t, nats.Config{URL: s.URL()})
	c := consume(t, b, 1, "k")
	id := strings.Repeat("é", 256)
	request := func(size int) error {
		return b.Submit(within(t), requestOf("k", id, size))
	}
	size := 64 << 10
	for ; request(size) != nil; size -= 256 {
		wantIs(t, "Submit", request(size), occamy.ErrTooLarge)
	}
	m := c.next(t)
	if err := m.(occamy.DelayedRequeuer).RequeueAfter(within(t), 1); err != nil {
		t.Fatal(err)
	}
	c.Free(1)
	m = c.next(t)
	if n := m.(occamy.Attempter).Attempt(); n != 2 {
		t.Errorf("attempt %d, want 2: it was not copied", n)
	}
	if err := m.(occamy.ReasonedRejecter).RejectFor(within(t), strings.Repeat("é", 1<<16)); err != nil {
		t.Fatal(err)
	}
	d, err := b.DeadLetter(within(t), id)
	if err != nil || len(d.Body) != size || !strings.HasPrefix(d.Reason, "éé") {
		t.Errorf("the dead letter has %d bytes of %d, the reason %.20q, %v", len(d.Body), size, d.Reason, err)
	}
	if err := b.Retry(within(t), id); err != nil {
		t.Fatal(err)
	}
	c.Free(1)
	m = c.next(t)
	if n := m.(occamy.Attempter).Attempt(); n != 1 || len(m.Body()) != size {
		t.Errorf("the retry is attempt %d with %d bytes", n, len(m.Body()))
	}
	ack(t, m)
}
