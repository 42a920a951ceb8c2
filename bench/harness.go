package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"
)

// A family is a set of rows that come from one measurement.
type family struct {
	rows []row

	// value and reference measure one round of a side. reference is nil where
	// it is a constant, which each row gives.
	value, reference side

	// begin starts what all rounds share; nil: nothing.
	begin func() (end func() error, err error)

	// rabbitmq says that RabbitMQ must be installed.
	rabbitmq bool

	// procs is GOMAXPROCS for both sides; zero: as many as there are CPUs.
	procs int

	// isolated has each round of each side run in a process of its own.
	isolated bool
}

type side func(p plan) (sample, error)

// A sample has the figures of one side in one round, by the name of the row.
// Other keys are figures for notes.
type sample map[string]float64

type row struct {
	name     string
	unit     string
	constant float64 // the reference where it is not measured
	goal     string  // what the ratio, or else the value, is to reach; empty: nothing
	noRatio  bool    // for the goal is a difference
	about    string  // what the value is, for the note
	extra    func(values, references []sample) string
}

// A plan says how much to measure.
type plan struct {
	rounds int
	scale  float64 // 1 to measure; less to see that it works
	round  int     // of this sample, from 0
}

// count is how often to do something in a round.
func (p plan) count(n int) int { return max(1, int(float64(n)*p.scale)) }

// duration is how long to do something in a round.
func (p plan) duration(d time.Duration) time.Duration {
	return max(300*time.Millisecond, time.Duration(float64(d)*p.scale))
}

// result is a row as it is printed.
type result struct {
	Name      string   `json:"name"`
	Value     float64  `json:"value"`
	Reference float64  `json:"reference"`
	Ratio     *float64 `json:"ratio"` // the median of the rounds' ratios; null where the goal is a difference
	Unit      string   `json:"unit"`
	Note      string   `json:"note"`

	goal string
}

// measure runs the rounds of a family, its sides in turns, and sums them up.
func (f family) measure(p plan, run func(s side, name string, p plan) (sample, error)) (_ []result, err error) {
	if f.begin != nil {
		end, beginErr := f.begin()
		if beginErr != nil {
			return nil, beginErr
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	var values, references []sample
	for p.round = range p.rounds {
		one := func(s side, name string, to *[]sample) error {
			if s == nil {
				return nil
			}
			got, err := run(s, name, p)
			if err != nil {
				return fmt.Errorf("%s of %s, round %d: %w", name, f.rows[0].name, p.round, err)
			}
			*to = append(*to, got)
			return nil
		}
		turns := []func() error{
			func() error { return one(f.value, "value", &values) },
			func() error { return one(f.reference, "reference", &references) },
		}
		if p.round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return nil, err
			}
		}
	}
	results := make([]result, 0, len(f.rows))
	for _, r := range f.rows {
		results = append(results, r.sum(values, references))
	}
	return results, nil
}

func (r row) sum(values, references []sample) result {
	v := column(values, r.name)
	res := result{Name: r.name, Value: median(v), Unit: r.unit, Reference: r.constant, goal: r.goal}
	res.Note = "range " + span(v)
	if references != nil {
		ref := column(references, r.name)
		res.Reference = median(ref)
		res.Note += ", of the reference " + span(ref)
	}
	if !r.noRatio {
		all := r.ratios(values, references)
		ratio := round4(median(all))
		res.Ratio = &ratio
		res.Note += ", of the ratio " + span(all)
	}
	if r.extra != nil {
		res.Note = r.extra(values, references) + "; " + res.Note
	}
	if r.about != "" {
		res.Note = r.about + "; " + res.Note
	}
	res.Note += fmt.Sprintf("; %d rounds, GOMAXPROCS %d", len(values), runtime.GOMAXPROCS(0))
	res.Value, res.Reference = round4(res.Value), round4(res.Reference)
	return res
}

// ratios compares each round's value with the reference of the same round, so
// that what slows the machine down for a while slows both.
func (r row) ratios(values, references []sample) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		reference := r.constant
		if references != nil {
			reference = references[i][r.name]
		}
		out[i] = v[r.name] / reference
	}
	return out
}

func column(samples []sample, name string) []float64 {
	c := make([]float64, len(samples))
	for i, s := range samples {
		c[i] = s[name]
	}
	return c
}

func median(v []float64) float64 { return percentile(v, 50) }

// percentile is by nearest rank.
func percentile[T cmp.Ordered](v []T, p float64) T {
	s := slices.Sorted(slices.Values(v))
	rank := int(math.Ceil(p / 100 * float64(len(s))))
	return s[max(rank, 1)-1]
}

func span(v []float64) string {
	return fmt.Sprintf("%.4g to %.4g", slices.Min(v), slices.Max(v))
}

// round4 keeps four significant digits; the rest is noise.
func round4(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0
	}
	unit := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*unit) / unit
}
