package nats_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
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

// A stream or a consumer that somebody made just now has no leader for a moment:
// NATS says nothing of it then. A server that starts asks again soon. The NATS
// server here has no JetStream; the test passes on what another answers.
func TestAStreamOfWhichNothingIsSaidYet(t *testing.T) {
	front := natsd.Start(t, &server.Options{})
	back, err := natsgo.Connect(startServer(t, embedded.Config{RelaxSync: true}).URL())
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	relay, err := natsgo.Connect(front.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	ctx, pulled := within(t), make(chan struct{}, 1)
	silent := make(map[string]bool)
	if _, err := relay.Subscribe("$JS.API.>", func(m *natsgo.Msg) {
		switch {
		case strings.Contains(m.Subject, ".MSG.NEXT."):
			select {
			case pulled <- struct{}{}:
			default:
			}
			return
		case strings.Contains(m.Subject, ".INFO.") && !silent[m.Subject]:
			silent[m.Subject] = true
			return
		}
		answer, err := back.RequestWithContext(ctx, m.Subject, m.Data)
		if err == nil {
			err = m.Respond(answer.Data)
		}
		if err != nil {
			t.Errorf("%s: %v", m.Subject, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := relay.Flush(); err != nil {
		t.Fatal(err)
	}

	b := open(t, nats.Config{URL: front.ClientURL()})
	began := time.Now()
	consume(t, b, 1, "k")
	select {
	case <-pulled:
	case <-ctx.Done():
		t.Fatal("no pull came")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it pulled after %v", took)
	}
}
