package rabbitmq

import (
	"encoding/json"
	"fmt"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Another distribution would lose sight of all outcomes that are kept.
func TestStreamOfAnIDStaysTheSame(t *testing.T) {
	used := make(map[int]int)
	for i := range 32_000 {
		used[streamOf(fmt.Sprint("r", i))]++
	}
	for n := range outcomeStreams {
		if used[n] < 800 || used[n] > 1200 {
			t.Errorf("stream %d gets %d of 32,000 IDs, want about 1000", n, used[n])
		}
	}
	for id, want := range map[string]int{"": 5, "r1": 12, "0019d2vgh5mtv": 14, "東京": 15} {
		if got := streamOf(id); got != want {
			t.Errorf("streamOf(%q) = %d, want %d", id, got, want)
		}
	}
}

func inStream(kind, id, body string) amqp.Delivery {
	return amqp.Delivery{Type: kind, Headers: amqp.Table{hdrID: id}, Body: []byte(body)}
}

func TestTheLastOutcomeInAStreamCounts(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []amqp.Delivery
		want string
	}{
		{"none", nil, ""},
		{"one", []amqp.Delivery{inStream(typeOutcome, "r", "1")}, "1"},
		{"two", []amqp.Delivery{inStream(typeOutcome, "r", "1"), inStream(typeOutcome, "r", "2")}, "2"},
		{"another's", []amqp.Delivery{inStream(typeOutcome, "r", "1"), inStream(typeOutcome, "s", "2"), inStream(typeRemoved, "s", "")}, "1"},
		{"removed", []amqp.Delivery{inStream(typeOutcome, "r", "1"), inStream(typeRemoved, "r", "")}, ""},
		{"after it was removed", []amqp.Delivery{inStream(typeOutcome, "r", "1"), inStream(typeRemoved, "r", ""), inStream(typeOutcome, "r", "3")}, "3"},
		{"marks and strangers", []amqp.Delivery{inStream(typeOutcome, "r", "1"), inStream(typeMark, "r", "x"), inStream("", "r", "y"), {}}, "1"},
	} {
		s := newScan([]*look{{id: "r", from: 7}, {id: "t", from: 3}})
		for _, d := range c.in {
			s.note(&d)
		}
		if got := string(s.last["r"]); got != c.want || s.last["t"] != nil || len(s.last) != 2 {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if s.from != 3 || len(s.ids) != 3 {
			t.Errorf("looks from %d with the filter %v; want 3, and both IDs and the mark", s.from, s.ids)
		}
	}
}

func TestManyLooksAreNotFiltered(t *testing.T) {
	var batch []*look
	for i := range 100 {
		batch = append(batch, &look{id: fmt.Sprint(i)})
	}
	if s := newScan(batch); s.ids != nil {
		t.Errorf("the filter has %d values, want none", len(s.ids))
	}
}

// Anybody may publish to the event exchange.
func FuzzEvent(f *testing.F) {
	for _, s := range []string{"", "{}", `{"status":"completed"}`, `{"id":"s","status":"rejected"}`} {
		f.Add(typeOutcome, "outcomes.1", `{"x-occamy-id":"r"}`, []byte(s))
	}
	f.Add("", "progress.r", `{"x-occamy-id":"r"}`, []byte("p"))
	f.Add("", "progress.r", `{"x-occamy-id":7}`, []byte{})
	f.Fuzz(func(t *testing.T, kind, key, headers string, body []byte) {
		var v map[string]any
		if json.Unmarshal([]byte(headers), &v) != nil {
			return
		}
		h, _ := table(v).(amqp.Table)
		w := &watching{id: "r", wake: make(chan struct{}, 1)}
		hub := hub{watching: map[string]map[*watching]struct{}{"r": {w: {}}}}
		hub.take(amqp.Delivery{Type: kind, RoutingKey: key, Headers: h, Body: body})
		if o := w.outcome; o != nil {
			switch o.Status {
			case occamy.Completed, occamy.Cancelled, occamy.Rejected:
			default:
				t.Errorf("told of the outcome %+v", o)
			}
			if _, err := broker.DecodeOutcome(body); err != nil || kind != typeOutcome {
				t.Errorf("an outcome of %q: %v", body, err)
			}
		}
		if w.progress != nil && w.outcome != nil {
			t.Error("one message told of both")
		}
	})
}
