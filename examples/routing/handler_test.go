package routing

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
)

func TestTheHandlerRefuses(t *testing.T) {
	soon := time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)
	for _, c := range []struct {
		name     string
		headers  occamy.Headers
		body     string
		optional bool
		want     error
	}{
		{"no body", nil, "", false, ErrInstance},
		{"garbage", nil, "\x00garbage", false, ErrInstance},
		{"time limit of another type", occamy.Headers{"time-limit": 5}, triangle, false, occamy.ErrInvalidHeader},
		{"time limit empty", occamy.Headers{"time-limit": ""}, triangle, false, occamy.ErrInvalidHeader},
		{"time limit without unit", occamy.Headers{"time-limit": "5"}, triangle, false, occamy.ErrInvalidHeader},
		{"time limit 0", occamy.Headers{"time-limit": "0s"}, triangle, false, occamy.ErrInvalidHeader},
		{"time limit below 0", occamy.Headers{"time-limit": "-5s"}, triangle, false, occamy.ErrInvalidHeader},
		{"time limit too long", occamy.Headers{"time-limit": "24h1ns"}, triangle, false, occamy.ErrInvalidHeader},
		{"target no number", occamy.Headers{"target": "short"}, triangle, false, occamy.ErrInvalidHeader},
		{"target 0", occamy.Headers{"target": "0"}, triangle, false, occamy.ErrInvalidHeader},
		{"target of another type", occamy.Headers{"target": []byte("1")}, triangle, false, occamy.ErrInvalidHeader},
		{"assistant by request", occamy.Headers{headerMaster: "m", headerUntil: soon}, triangle, false, occamy.ErrInvalidHeader},
		{"assistant of nobody", occamy.Headers{headerMaster: "", headerUntil: soon}, triangle, true, occamy.ErrInvalidHeader},
		{"master of another type", occamy.Headers{headerMaster: 1, headerUntil: soon}, triangle, true, occamy.ErrInvalidHeader},
		{"master too long", occamy.Headers{headerMaster: strings.Repeat("m", 501), headerUntil: soon}, triangle, true, occamy.ErrInvalidHeader},
		{"assistant without end", occamy.Headers{headerMaster: "m"}, triangle, true, occamy.ErrInvalidHeader},
		{"assistant for too long", occamy.Headers{headerMaster: "m", headerUntil: "2999-01-01T00:00:00Z"}, triangle, true, occamy.ErrInvalidHeader},
		{"assistant without instance", occamy.Headers{headerMaster: "m", headerUntil: soon}, "", true, ErrInstance},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := occamy.Request{Kind: Kind, ID: "x", Headers: c.headers, Body: []byte(c.body), Optional: c.optional}
			task, err := NewHandler(newHub()).Handle(t.Context(), r)
			if task != nil || !errors.Is(err, c.want) {
				t.Errorf("got %v, %v; want an error that wraps %v", task, err, c.want)
			}
		})
	}
}

func TestARequestBecomesAMaster(t *testing.T) {
	m := mustHandle[*master](t, newHub(), request(t, "eil51", occamy.Headers{"time-limit": "90s", "target": "426"}))
	if d := m.Details(); d != (occamy.Details{ID: "trip"}) {
		t.Errorf("details %+v", d)
	}
	if got := time.Duration(m.limit.Load()); got != 90*time.Second || m.target.Load() != 426 {
		t.Errorf("limit %s, target %d", got, m.target.Load())
	}
	m = mustHandle[*master](t, newHub(), request(t, "eil51", nil))
	if got := time.Duration(m.limit.Load()); got != 10*time.Second || m.target.Load() != 0 {
		t.Errorf("by default limit %s, target %d", got, m.target.Load())
	}
}

func TestAnOptionalRequestOfAMasterBecomesAnEnvoy(t *testing.T) {
	h := newHub()
	m := mustHandle[*master](t, h, request(t, "eil51", occamy.Headers{"Occamy-Priority": "7"}))
	m.askForHelp(t.Context(), time.Now())
	sent := h.optional[0]
	if sent.Kind != Kind || sent.ID != "trip/assist" || sent.Headers["Occamy-Priority"] != "7" {
		t.Errorf("sent %q %q %v", sent.Kind, sent.ID, sent.Headers)
	}
	e := mustHandle[*envoy](t, h, occamy.Request{
		Kind: sent.Kind, ID: sent.ID, Headers: sent.Headers, Body: sent.Body, Optional: true,
	})
	d := e.Details()
	if d.ID != sent.ID || e.master != "trip" {
		t.Errorf("details %+v, master %q", d, e.master)
	}
	if left := time.Until(d.Deadline); left < time.Second || left > 10*time.Second {
		t.Errorf("the deadline is in %s, the master's limit is 10s", left)
	}
}

func TestExpand(t *testing.T) {
	h := newHub()
	m := mustHandle[*master](t, h, request(t, "eil51", nil))
	alone := mustHandle[*master](t, nil, request(t, "eil51", nil))
	nameless := request(t, "eil51", nil)
	nameless.ID = ""
	small := request(t, "eil51", nil)
	small.Body = []byte(triangle)
	ended := mustHandle[*master](t, h, request(t, "eil51", nil))
	ended.over.Store(true)
	e := newEnvoy(h, m.in.clone(), "trip", time.Now().Add(time.Minute))
	left := newEnvoy(h, m.in.clone(), "trip", time.Now().Add(time.Minute))
	left.over.Store(true)
	for _, c := range []struct {
		name string
		task occamy.Expander
		want int
	}{
		{"a master", m, 3},
		{"one without a sender", alone, 0},
		{"one without an ID, whom nobody could reach", mustHandle[*master](t, h, nameless), 0},
		{"one that needs no help", mustHandle[*master](t, h, small), 0},
		{"one that has ended", ended, 0},
		{"an envoy", e, 3},
		{"an envoy without a master", left, 0},
	} {
		tasks := c.task.Expand(t.Context(), 3)
		if len(tasks) != c.want {
			t.Errorf("%s offers %d tasks, want %d", c.name, len(tasks), c.want)
		}
		for i, task := range tasks {
			a := task.(*assistant)
			if a.in == m.in || a.in == e.in || i > 0 && a.in == tasks[0].(*assistant).in {
				t.Errorf("%s: tasks share an instance", c.name)
			}
			if a.Details().ID != "trip/assist" {
				t.Errorf("%s: details %+v", c.name, a.Details())
			}
		}
	}
	if _, ok := occamy.Task(newAssistant(h, m.in, "trip")).(occamy.Expander); ok {
		t.Error("an assistant expands; only its owner should")
	}
}
