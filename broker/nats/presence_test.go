package nats_test

import (
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// What senders ask of servers by themselves has headers of its own; a user's
// message that bears the same is a message all the same.
func TestAMessageThatLooksLikeAQuestion(t *testing.T) {
	s := startServer(t, embedded.Config{RelaxSync: true})
	b := open(t, nats.Config{URL: s.URL()})
	c := consume(t, b, 1, "k")
	c.Place("t1")
	eventually(t, "a control message is taken", func() bool { return b.Control(within(t), "t1", nil, []byte("first")) == nil })
	if err := b.Control(within(t), "t1", occamy.Headers{"Occamy-Jetstream-Presence": "?"}, nil); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case m := <-c.Controls():
			if m.Headers()["Occamy-Jetstream-Presence"] == "?" {
				return
			}
		case <-within(t).Done():
			t.Fatal("the task has not got it")
		}
	}
}
