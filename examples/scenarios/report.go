package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report collects how the requests fared.
type report struct {
	plan plan
	a, b [][]outcome // by round
}

func newReport(p plan) *report { return &report{plan: p} }

func (r *report) add(a, b []outcome) {
	r.a, r.b = append(r.a, a), append(r.b, b)
}

// summary is what is printed.
type summary struct {
	Broker  string `json:"broker"`
	Servers int    `json:"servers"`
	Slots   int    `json:"slots"` // of each server
	Rounds  int    `json:"rounds"`
	Note    string `json:"note"`
	A       []line `json:"a"`
	B       []line `json:"b"`
}

// line is about one request, over all rounds.
type line struct {
	Needs   int     `json:"needs"`
	Minimum spread  `json:"minimum_ms"`
	All     *spread `json:"all_slots_ms,omitempty"` // only in A
	Done    spread  `json:"done_ms"`
	Used    spread  `json:"slot_time_used"` // a share of 1
}

type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

const note = "Units wait for most of their time, since there may be more slots than cores: the times are decision cost, and not promptness on cores that compute (bench: scenario_b)."

func (r *report) sum() summary {
	broker, _, _ := strings.Cut(r.plan.broker, ":")
	s := summary{Broker: broker, Servers: r.plan.servers, Slots: r.plan.slots, Rounds: len(r.a), Note: note}
	for i := range r.plan.needs {
		s.A = append(s.A, sumLine(r.a, i))
		s.B = append(s.B, sumLine(r.b, i))
	}
	s.B = s.B[1:] // the first is the one that is there
	return s
}

func sumLine(rounds [][]outcome, i int) line {
	of := func(get func(outcome) float64) spread {
		var v []float64
		for _, all := range rounds {
			v = append(v, get(all[i]))
		}
		slices.Sort(v)
		return spread{round(v[len(v)/2]), round(v[0]), round(v[len(v)-1])}
	}
	l := line{
		Needs:   rounds[0][i].Needs,
		Minimum: of(func(o outcome) float64 { return ms(o.Minimum) }),
		Done:    of(func(o outcome) float64 { return ms(o.Done) }),
		Used:    of(func(o outcome) float64 { return o.Used }),
	}
	if rounds[0][i].All > 0 {
		all := of(func(o outcome) float64 { return ms(o.All) })
		l.All = &all
	}
	return l
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// round keeps what can be told.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }

func (s spread) text(format string, scale float64) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", scale*s.Median, scale*s.Min, scale*s.Max)
}

func (s summary) print(out io.Writer) error {
	fmt.Fprintf(out, "%s, %d servers of %d slots, %d rounds: median (least to most)\n%s\n", s.Broker, s.Servers, s.Slots, s.Rounds, s.Note)
	fmt.Fprintf(out, "\nA: a request arrives when nothing runs\n")
	err := table(out, "needs\tits minimum works, ms\tall slots work for it, ms\tdone, ms\tslot time used, %", s.A)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nB: a request arrives while others use all slots\n")
	return table(out, "needs\tits minimum works, ms\t\tdone, ms\tslot time used, %", s.B)
}

func table(out io.Writer, head string, lines []line) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, l := range lines {
		all := ""
		if l.All != nil {
			all = l.All.text("%.1f", 1)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", l.Needs, l.Minimum.text("%.1f", 1), all, l.Done.text("%.0f", 1), l.Used.text("%.0f", 100))
	}
	return w.Flush()
}
