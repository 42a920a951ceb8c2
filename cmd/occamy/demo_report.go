package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/occamy-go/occamy/examples/routing"
)

// demoRequest is one request of the demo as its sender saw it.
type demoRequest struct {
	id, instance string
	sent         time.Time
	ended        time.Time
	cancelled    bool
	length       int // of the result; of the last progress when it was cancelled
}

// demoReport is what the demo measured. Its JSON form is a contract.
type demoReport struct {
	Requests     []demoRow `json:"requests"`
	SlotTimeUsed float64   `json:"slot_time_used"`
	Preemptions  uint64    `json:"preemptions"`
	SlowestStart float64   `json:"slowest_start_ms"`
}

type demoRow struct {
	ID          string  `json:"id"`
	Instance    string  `json:"instance"`
	Wait        float64 `json:"wait_ms"` // from publish to its first Do
	SlotSeconds float64 `json:"slot_seconds"`
	Length      int     `json:"length"`
	BestKnown   int     `json:"best_known"`
	Requeued    bool    `json:"requeued"`

	cancelled bool
}

func (d *demo) report(requests []*demoRequest) demoReport {
	var r demoReport
	var work, room time.Duration
	var first, last time.Time
	for _, q := range requests {
		m := d.meter.of(q.id)
		wait := m.first.Sub(q.sent)
		best, _ := routing.BestKnown(q.instance)
		row := demoRow{
			ID: q.id, Instance: q.instance, cancelled: q.cancelled,
			Wait: milliseconds(wait), SlotSeconds: m.work.Seconds(),
			Length: q.length, BestKnown: best, Requeued: m.attempts > 1,
		}
		r.Requests = append(r.Requests, row)
		r.SlowestStart = max(r.SlowestStart, row.Wait)
		work += m.work
		if first.IsZero() || q.sent.Before(first) {
			first = q.sent
		}
		if q.ended.After(last) {
			last = q.ended
		}
	}
	for _, s := range d.servers {
		end := last
		if !s.ended.IsZero() && s.ended.Before(last) {
			end = s.ended
		}
		snap := s.Snapshot()
		room += end.Sub(first) * time.Duration(len(snap.Slots))
		r.Preemptions += snap.Preemptions
	}
	r.SlotTimeUsed = work.Seconds() / room.Seconds()
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (a *app) printDemo(r demoReport) error {
	if a.json {
		return a.printJSON(r)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nrequest\tinstance\twait\tslot-seconds\ttour\tbest known\tover\t")
	for _, q := range r.Requests {
		over, note := "-", ""
		if q.Length > 0 {
			over = fmt.Sprintf("%.2f %%", 100*(float64(q.Length)/float64(q.BestKnown)-1))
		}
		switch {
		case q.cancelled:
			note = "cancelled"
		case q.Requeued:
			note = "went on elsewhere"
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f ms\t%.1f\t%d\t%d\t%s\t%s\n", q.ID, q.Instance, q.Wait, q.SlotSeconds, q.Length, q.BestKnown, over, note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "\n%.1f %% of slot time used, %d preemptions, slowest start %.1f ms\n",
		100*r.SlotTimeUsed, r.Preemptions, r.SlowestStart)
	return err
}

// lengthIn finds the length of a tour in a result or a progress.
func lengthIn(b []byte) int {
	var v struct{ Length int }
	if json.Unmarshal(b, &v) != nil {
		return 0
	}
	return v.Length
}
