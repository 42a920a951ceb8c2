package nats_test

import (
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/internal/natsd"
)

// A stream without a leader answers 503 until it has one. What it says then
// counts, whatever it said before. The NATS server here has no JetStream; the
// test answers in its place.
func TestTheAnswerAfterThereWasNoLeader(t *testing.T) {
	s := natsd.Start(t, &server.Options{})
	leader, err := natsgo.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer leader.Close()
	outcome, err := broker.EncodeOutcome(occamy.Outcome{ID: "r1", Kind: "work", Status: occamy.Completed})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(map[string]any{"message": map[string]any{"subject": "any", "seq": 1, "data": outcome}})
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	answers := func(method string, then []byte) {
		t.Helper()
		if _, err := leader.Subscribe("$JS.API."+method, func(m *natsgo.Msg) {
			said := then
			if asked.Add(1)%3 != 0 {
				said = []byte(`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`)
			}
			if err := m.Respond(said); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	answers("STREAM.MSG.GET.OCCAMY_OUTCOMES", kept)
	answers("STREAM.MSG.GET.OCCAMY_DEAD", []byte(`{"error":{"code":404,"err_code":10037,"description":"no message found"}}`))
	if err := leader.Flush(); err != nil {
		t.Fatal(err)
	}

	ctx := within(t)
	b, err := nats.Open(ctx, nats.Config{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if o, err := b.Result(ctx, "r1"); err != nil || o.ID != "r1" || o.Status != occamy.Completed {
		t.Errorf("Result: %+v, %v", o, err)
	}
	if _, err := b.DeadLetter(ctx, "r2"); !errors.Is(err, broker.ErrNotFound) {
		t.Errorf("DeadLetter: %v; want that there is none", err)
	}
	if n := asked.Load(); n != 6 {
		t.Errorf("asked %d times; want 2 calls of 3 tries each", n)
	}
}
