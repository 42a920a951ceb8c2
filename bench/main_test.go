package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// The rows run in child processes, which are this test binary.
func TestMain(m *testing.M) {
	if done, err := childMain(); done {
		exit(err)
	}
	os.Exit(m.Run())
}

// Each row runs once, on little work: it works and has its shape. What it
// measures is for people to read.
func TestRows(t *testing.T) {
	tryRows(t, func(f family) bool { return !f.rabbitmq })
}

func tryRows(t *testing.T, want func(family) bool) {
	t.Helper()
	for _, f := range families() {
		if !want(f) {
			continue
		}
		names := make(map[string]bool)
		for _, r := range f.rows {
			names[r.name] = true
		}
		t.Run(f.rows[0].name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(&out, io.Discard, names, plan{rounds: 1, scale: 0.01}, output{json: true}); err != nil {
				t.Fatal(err)
			}
			var printed struct{ Rows []map[string]any }
			if err := json.Unmarshal(out.Bytes(), &printed); err != nil {
				t.Fatalf("%v in %s", err, out.Bytes())
			}
			if len(printed.Rows) != len(f.rows) {
				t.Fatalf("%d rows; want %d", len(printed.Rows), len(f.rows))
			}
			for i, r := range printed.Rows {
				if r["name"] != f.rows[i].name || r["unit"] != f.rows[i].unit {
					t.Errorf("row %v; want name %s, unit %s", r, f.rows[i].name, f.rows[i].unit)
				}
				for _, key := range []string{"value", "reference", "ratio", "note"} {
					if _, ok := r[key]; !ok {
						t.Errorf("row %s has no %s", f.rows[i].name, key)
					}
				}
				if v, _ := r["value"].(float64); v <= 0 {
					t.Errorf("row %s: value %v; want more than zero", f.rows[i].name, r["value"])
				}
			}
		})
	}
}

// The names are those that the project promises; other programs read them.
func TestRowNames(t *testing.T) {
	want := "request request_allocs request_scale preempt preempt_burst preempt_parallel " +
		"saturated saturated_p99 saturated_broker saturated_broker_p99 " +
		"jetstream jetstream_idle monitors_prometheus monitors_all rabbitmq_quorum rabbitmq_classic rabbitmq_idle rabbitmq_idle_classic control_fanout reconnect refill backlog control_scale units_speedup units_small lease_roundtrip scenario_b idle_cpu slot_memory pond ants"
	if got := strings.Join(rowNames(), " "); got != want {
		t.Errorf("rows %s;\nwant %s", got, want)
	}
}

func TestChooseRejectsUnknownRow(t *testing.T) {
	if _, err := choose([]string{"request", "nothing"}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("choose: %v; want an error that names the row", err)
	}
}

// The sides take turns, and the one that goes first changes.
func TestSidesAlternate(t *testing.T) {
	var order []string
	f := family{
		rows:      []row{{name: "x"}},
		value:     func(plan) (sample, error) { return sample{"x": 3}, nil },
		reference: func(plan) (sample, error) { return sample{"x": 2}, nil },
	}
	got, err := f.measure(plan{rounds: 3}, func(s side, name string, p plan) (sample, error) {
		order = append(order, fmt.Sprintf("%d%s", p.round, name))
		return s(p)
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(order, " "); s != "0value 0reference 1reference 1value 2value 2reference" {
		t.Errorf("order %s", s)
	}
	if got[0].Value != 3 || got[0].Reference != 2 || *got[0].Ratio != 1.5 {
		t.Errorf("result %+v; want 3, 2, 1.5", got[0])
	}
}

// What slows a round down slows both of its sides.
func TestRatioIsTakenRoundByRound(t *testing.T) {
	values := []sample{{"x": 1}, {"x": 30}, {"x": 4}}
	references := []sample{{"x": 2}, {"x": 20}, {"x": 1}}
	got := row{name: "x"}.sum(values, references)
	if got.Value != 4 || got.Reference != 2 || *got.Ratio != 1.5 {
		t.Errorf("result %v, %v, %v; want 4, 2, 1.5", got.Value, got.Reference, *got.Ratio)
	}
	if !strings.Contains(got.Note, "of the ratio 0.5 to 4") {
		t.Errorf("note %q; want the range of the ratio", got.Note)
	}
}

func TestPercentile(t *testing.T) {
	v := []float64{9, 1, 5, 3, 7}
	for p, want := range map[float64]float64{0: 1, 20: 1, 50: 5, 99: 9, 100: 9} {
		if got := percentile(v, p); got != want {
			t.Errorf("percentile %v of %v is %v; want %v", p, v, got, want)
		}
	}
}

func TestRound4(t *testing.T) {
	for x, want := range map[float64]float64{0: 0, 1234567: 1235000, 0.000123456: 0.0001235, -12.3456: -12.35} {
		if got := round4(x); got != want {
			t.Errorf("round4(%v) = %v; want %v", x, got, want)
		}
	}
}
