package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/occamy-go/occamy/chaos/record"
)

// grace is how long after its end a fault is still felt: what it held back or
// broke off arrives, or is found out, a little later.
const grace = time.Second

func clock(t time.Time) string { return t.Format("15:04:05.000") }

// within says whether a fault was felt at some moment of a span.
func (f *fault) within(from, to time.Time) bool {
	return !f.begin.After(to) && (f.end.IsZero() || !f.end.Add(grace).Before(from))
}

// excused says whether a request that ran as a and then again as b did so for
// good reason: a fault hit the process that had the earlier of the deliveries,
// its connection or its broker node, before the second run; or it hit the client
// while that submitted, so that it did so twice.
func (c *course) excused(r *request, a, b record.Event) bool {
	had := a.Server
	if b.Attempt < a.Attempt {
		had = b.Server // it was held up, and ran after the one that replaced it
	}
	for _, f := range c.faults {
		if slices.Contains(f.servers, had) && f.within(a.Time, b.Time) {
			return true
		}
		if f.client && f.within(r.sent[0].Time, cmpOr(r.confirmed, b.Time)) {
			return true
		}
	}
	for _, d := range c.deaths {
		poisoned := c.poisoned[a.PID]
		if d.PID == a.PID && !poisoned.IsZero() && !poisoned.After(b.Time) && !d.Time.Before(a.Time) {
			return true
		}
	}
	return false
}

func cmpOr(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// handedOn says whether a delivery was settled, and the broker agreed, after the
// request had been given to somebody else, who ran it: who settles must know
// that it is not theirs any more.
func (r *request) handedOn(s record.Event) (later record.Event, ok bool) {
	if s.Error != "" || s.Began == nil {
		return later, false
	}
	for _, b := range r.starts {
		if b.Attempt > s.Attempt && b.PID != s.PID && b.Time.Before(*s.Began) {
			return b, true
		}
	}
	return later, false
}

// story judges what concerns no single request.
func (c *course) story(torn []string) (found []finding) {
	wrong := func(format string, args ...any) {
		found = append(found, finding{text: fmt.Sprintf(format, args...)})
	}
	for _, t := range torn {
		wrong("torn log: %s", t)
	}
	if c.run.What == "" {
		wrong("the log does not say how the run was meant")
	} else if c.run.Requests < 1 {
		wrong("the run was of no requests")
	}
	for _, f := range c.failures {
		wrong("the run failed: %s", f)
	}
	if c.closing.IsZero() {
		wrong("the run did not come to its end")
	}
	for _, f := range c.faults {
		if f.end.IsZero() {
			wrong("fault %d, %s, did not end", f.number, f.name)
		}
		switch {
		case f.open == 0:
			wrong("fault %d, %s, hit nothing: no request was open", f.number, f.name)
		case len(f.servers) > 0 && f.ran == 0:
			wrong("fault %d, %s, hit nothing: no request ran on %v", f.number, f.name, f.servers)
		}
	}
	for _, d := range c.deaths {
		if why := c.unexplained(d); why != "" {
			wrong("server %s (%d) ended at %s: %s %s", d.Server, d.PID, clock(d.Time), why, d.Error)
		}
	}
	return found
}

// unexplained is empty when a server process ended because somebody meant it
// to, and in the manner that was meant.
func (c *course) unexplained(d record.Event) string {
	if _, ok := c.poisoned[d.PID]; ok {
		return ""
	}
	orderly := !c.closing.IsZero() && !d.Time.Before(c.closing)
	for _, f := range c.faults {
		if !slices.Contains(f.servers, d.Server) || !f.within(d.Time, d.Time) {
			continue
		}
		switch f.name {
		case "server_killed":
			return ""
		case "server_shutdown":
			orderly = true
		}
	}
	switch {
	case !orderly:
		return "nobody told it to"
	case d.Error != "":
		return "it did not shut down in order:"
	}
	return ""
}
