package nats_test

import (
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// What was held up on its way for longer than its lease is with somebody else
// by then. To run it would be to run it twice, and to ack it to remove what the
// other works on, which NATS would not mind.
func TestADeliveryThatCameTooLateIsNotRun(t *testing.T) {
	s := startServer(t, embedded.Config{})
	way := newCable()
	slow := open(t, nats.Config{URL: s.URL(), AckWait: time.Second, Options: []natsgo.Option{way.splice}})
	other := open(t, nats.Config{URL: s.URL(), AckWait: time.Second})
	late := consume(t, slow, 2, "k")
	submit(t, other, "k", "first")
	ack(t, late.next(t)) // it pulls, and has had a sign of life

	release := way.hold()
	submit(t, other, "k", "held")
	elsewhere := consume(t, other, 1, "k")
	m := elsewhere.next(t) // when the lease has ended
	if idOf(m) != "held" {
		t.Errorf("the other got %q", idOf(m))
	}
	release()

	late.Free(1)
	submit(t, other, "k", "after")
	if m := late.next(t); idOf(m) != "after" {
		t.Errorf("got %q, which is with somebody else; want the one that was sent after", idOf(m))
	} else {
		ack(t, m)
	}
	ack(t, m)
}
