package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// The servers are processes that run this test binary.
func TestMain(m *testing.M) {
	if text := os.Getenv(serverVar); text != "" {
		exit(child(text))
	}
	os.Exit(m.Run())
}

// short is a plan for tests: 2 servers of 4 slots, all of which B's requests need.
func short(broker string) plan {
	return plan{broker: broker, servers: 2, slots: 4, needs: []int{2, 2, 4}, rounds: 1, each: 5 * time.Millisecond, hold: 500 * time.Millisecond}
}

func TestBothScenariosOverTheEmbeddedBroker(t *testing.T) { play(t, "embedded") }

// play plays the short plan and looks at the object that is printed.
func play(t *testing.T, broker string) {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), short(broker), &out, true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", &out)
	var got summary
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	if got.Servers != 2 || got.Slots != 4 || len(got.A) != 3 || len(got.B) != 2 {
		t.Fatalf("got %+v", got)
	}
	for _, l := range append(got.A, got.B...) {
		if l.Minimum.Median <= 0 || l.Done.Median < l.Minimum.Median || l.Used.Max <= 0 || l.Used.Max > 1.01 {
			t.Errorf("got %+v", l)
		}
	}
	for _, l := range got.A {
		if l.All == nil || l.All.Median < l.Minimum.Median {
			t.Errorf("all slots before the minimum, or never: %+v", l)
		}
	}
}

func TestThePrintedTablesNameTheRequests(t *testing.T) {
	r := newReport(plan{broker: "nats://x", servers: 1, slots: 3, needs: []int{1, 2}})
	some := []outcome{
		{Needs: 1, Minimum: time.Millisecond, All: 2 * time.Millisecond, Done: time.Second, Used: .5},
		{Needs: 2, Minimum: 4 * time.Millisecond, Done: time.Second, Used: .75},
	}
	r.add(some, some)
	var out strings.Builder
	if err := r.sum().print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"nats, 1 servers of 3 slots", "decision cost", "\n1      1.0 (1.0 to 1.0)", "\n2      4.0 (4.0 to 4.0)", "75 (75 to 75)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestAPlanThatCannotComeTrueIsRefused(t *testing.T) {
	good := short("embedded")
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*plan){
		"no server":       func(p *plan) { p.servers = 0 },
		"no unit":         func(p *plan) { p.each = 0 },
		"too many needed": func(p *plan) { p.needs = []int{4, 5} },
	} {
		p := good
		if spoil(&p); p.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
