package nats_test

import (
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/client"
)

var _ client.Teller = (*nats.Broker)(nil)

// What is told comes as a control message does, in order with those; that nobody
// takes it is no error.
func TestTellDoesNotWait(t *testing.T) {
	ns := startServer(t, embedded.Config{RelaxSync: true, MaxPayload: 1 << 20})
	b := open(t, nats.Config{URL: ns.URL()})
	c := consume(t, open(t, nats.Config{URL: ns.URL()}), 1, "k")
	c.Place("t")
	eventually(t, "a control message is taken", func() bool { return b.Control(within(t), "t", nil, []byte("first")) == nil })
	told := occamy.Headers{"say": "this"}
	if err := b.Tell(within(t), "t", told, []byte("second")); err != nil {
		t.Fatal(err)
	}
	if err := b.Control(within(t), "t", nil, []byte("third")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "second", "third"} {
		m := <-c.Controls()
		if string(m.Body()) != want || m.Headers()["Occamy-Task-Id"] != "t" {
			t.Errorf("got %q with %v; want %q", m.Body(), m.Headers(), want)
		}
		if want == "second" && m.Headers()["say"] != "this" {
			t.Errorf("its headers are %v", m.Headers())
		}
	}
	if len(told) != 1 {
		t.Errorf("the caller's headers became %v", told)
	}
	if err := b.Tell(within(t), "nobody", nil, nil); err != nil {
		t.Errorf("told nobody: %v", err)
	}
	wantIs(t, "too much", b.Tell(within(t), "t", nil, make([]byte, 2<<20)), occamy.ErrTooLarge)
	if err := b.Tell(within(t), "", nil, nil); err == nil {
		t.Error("told an ID that is none")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	wantIs(t, "after Close", b.Tell(within(t), "t", nil, nil), broker.ErrClosed)
}
