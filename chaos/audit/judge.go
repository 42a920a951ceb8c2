package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"

	"github.com/occamy-go/occamy/chaos/record"
)

// finding is something that must not be.
type finding struct {
	lost bool // else it is wrong
	id   string
	text string
}

func (f finding) String() string {
	what := "wrong"
	if f.lost {
		what = "lost"
	}
	if f.id == "" {
		return what + ": " + f.text
	}
	return what + ": " + f.id + ": " + f.text
}

// judge decides. A request is lost, or wrong in one or several ways; what
// concerns no single request counts as wrong.
func (c *course) judge(torn []string) (verdict, []finding) {
	v := verdict{Broker: c.run.Broker, Faults: []string{}, Requests: c.run.Requests, Gap: c.gap().length().Milliseconds()}
	for _, f := range c.faults {
		if !slices.Contains(v.Faults, f.name) {
			v.Faults = append(v.Faults, f.name)
		}
	}
	if len(c.poisoned) > 0 {
		v.Faults = append(v.Faults, "poison")
	}
	found := c.story(torn)
	for _, id := range c.order {
		r := c.requests[id]
		of := c.request(r)
		if len(r.starts) > 1 {
			v.Repeated++
		}
		if !r.poison() && r.completed() && !slices.ContainsFunc(of, func(f finding) bool { return f.lost }) {
			v.Completed++
		}
		found = append(found, of...)
	}
	for id, r := range c.requests {
		if len(r.sent) == 0 {
			found = append(found, finding{id: id, text: "nobody sent it"})
		}
	}
	if n := c.run.Requests - len(c.order); n > 0 {
		found = append(found, finding{lost: true, text: fmt.Sprintf("%d requests were not even sent", n)})
		v.Lost += n - 1
	}
	for _, f := range found {
		if f.lost {
			v.Lost++
		} else {
			v.Wrong++
		}
	}
	return v, found
}

func (r *request) completed() bool {
	return slices.ContainsFunc(r.outcomes, func(o record.Event) bool { return o.Status == "completed" })
}

// request judges one request.
func (c *course) request(r *request) (found []finding) {
	lost := func(format string, args ...any) {
		if !slices.ContainsFunc(found, func(f finding) bool { return f.lost }) { // it is lost once
			found = append(found, finding{true, r.id, fmt.Sprintf(format, args...)})
		}
	}
	wrong := func(format string, args ...any) {
		found = append(found, finding{false, r.id, fmt.Sprintf(format, args...)})
	}
	if len(r.sent) > 1 {
		wrong("the ID was used %d times", len(r.sent))
	}
	for i, o := range r.outcomes {
		if i > 0 && (o.Status != r.outcomes[0].Status || o.Result != r.outcomes[0].Result) {
			wrong("two outcomes: %s %.12s and %s %.12s", r.outcomes[0].Status, r.outcomes[0].Result, o.Status, o.Result)
		}
	}
	if r.poison() {
		c.poison(r, lost, wrong)
	} else {
		r.whole(lost, wrong)
	}
	for i := range r.starts {
		if i > 0 && !c.excused(r, r.starts[i-1], r.starts[i]) {
			a, b := r.starts[i-1], r.starts[i]
			wrong("ran on %s (%d) at %s and again on %s (%d) at %s, though no fault hit it",
				a.Server, a.PID, clock(a.Time), b.Server, b.PID, clock(b.Time))
		}
	}
	for _, s := range r.settled {
		if later, ok := r.handedOn(s); ok {
			wrong("%s: %s settled attempt %d at %s, when %s had run attempt %d since %s", s.Op, s.Server, s.Attempt,
				clock(*s.Began), later.Server, later.Attempt, clock(later.Time))
		}
	}
	return found
}

// whole judges a request that should have completed.
func (r *request) whole(lost, wrong func(string, ...any)) {
	input := r.sent[0].Input
	if input == nil {
		wrong("nobody knows what it asked for")
		return
	}
	want := compute(*input)
	if r.sent[0].Result != want {
		wrong("its sender wanted %.12s, but it is %.12s", r.sent[0].Result, want)
	}
	switch {
	case r.confirmed.IsZero():
		lost("it was sent, but never confirmed")
	case len(r.outcomes) == 0:
		lost("it was confirmed, and has no outcome")
	case !r.completed():
		lost("its outcome is %q: %.200s", r.outcomes[0].Status, r.outcomes[0].Error)
	case !slices.ContainsFunc(r.ends, func(e record.Event) bool { return e.Error == "" }):
		lost("it has an outcome, but no run of it came to its end")
	}
	if len(r.outcomes) > 0 && r.missing {
		wrong("its outcome was not there any more when all was over")
	}
	for _, o := range r.outcomes {
		if o.Status == "completed" && o.Result != want {
			wrong("its result is %.12s instead of %.12s", o.Result, want)
			break
		}
	}
}

// poison judges a request that kills whoever runs it: it must end among the
// dead letters when the limit is reached, and not before.
func (c *course) poison(r *request, lost, wrong func(string, ...any)) {
	switch {
	case r.completed():
		wrong("it completed, which it cannot")
	case len(r.dead) == 0:
		lost("it is not among the dead letters")
	case len(r.outcomes) == 0:
		lost("its sender was not told")
	}
	// A limit of n lost deliveries lets the delivery n+1 through on some brokers.
	if n := len(r.starts); n == 0 || n > c.run.Limit+1 {
		wrong("it ran %d times; the limit is %d", n, c.run.Limit)
	}
	for _, d := range r.dead {
		if d.Attempt < c.run.Limit {
			wrong("it was buried after %d attempts; the limit is %d", d.Attempt, c.run.Limit)
		}
	}
}

// compute is the result that a request must have. It is written for this
// program alone.
func compute(in record.Input) string {
	var sums []byte
	for i := range uint32(in.Chunks) {
		i = bits.ReverseBytes32(i)
		begin := append([]byte(in.Seed), byte(i), byte(i>>8), byte(i>>16), byte(i>>24))
		sum := sha256.Sum256(begin)
		for n := in.Rounds; n > 0; n-- {
			sum = sha256.Sum256(sum[:])
		}
		sums = append(sums, sum[:]...)
	}
	all := sha256.Sum256(sums)
	return hex.EncodeToString(all[:])
}
