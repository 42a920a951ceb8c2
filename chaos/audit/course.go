package main

import (
	"slices"
	"strings"
	"time"

	"github.com/occamy-go/occamy/chaos/record"
)

// course is what happened in a run, put together from its events.
type course struct {
	events   []record.Event
	run      record.Event
	requests map[string]*request
	order    []string // IDs as they were sent
	faults   []*fault
	deaths   []record.Event
	poisoned map[int]time.Time // when a process ran into poison
	closing  time.Time         // the servers are told to end; zero: they were not
	failures []string          // of the run itself
}

// request is what is known of one request.
type request struct {
	id        string
	sent      []record.Event
	confirmed time.Time
	unsure    int
	starts    []record.Event // by their times
	ends      []record.Event
	settled   []record.Event
	outcomes  []record.Event
	dead      []record.Event
	missing   bool // the second look found no outcome
	helpers   int
	preempted int
}

// fault is one blow.
type fault struct {
	number  int
	name    string
	begin   time.Time
	end     time.Time // zero: it never ended
	servers []string
	client  bool
	node    string

	ran, open int
}

func newCourse(events []record.Event) *course {
	c := &course{events: events, requests: make(map[string]*request), poisoned: make(map[int]time.Time)}
	for _, e := range events {
		c.take(e)
	}
	for _, f := range c.faults {
		c.count(f)
	}
	return c
}

func (c *course) of(id string) *request {
	r := c.requests[id]
	if r == nil {
		r = &request{id: id}
		c.requests[id] = r
	}
	return r
}

func (c *course) take(e record.Event) {
	switch e.What {
	case record.Run:
		c.run = e
	case record.Closing:
		c.closing = e.Time
	case record.Failed:
		c.failures = append(c.failures, e.Error)
	case record.Died:
		c.deaths = append(c.deaths, e)
	case record.FaultBegin:
		c.faults = append(c.faults, &fault{
			number: e.Number, name: e.Fault, begin: e.Time, servers: e.Servers, client: e.Client, node: e.Node,
		})
	case record.FaultEnd:
		for _, f := range c.faults {
			if f.number == e.Number {
				f.end = e.Time
			}
		}
	}
	if e.ID == "" {
		return
	}
	r := c.of(e.ID)
	switch e.What {
	case record.Sent:
		if len(r.sent) == 0 {
			c.order = append(c.order, e.ID)
		}
		r.sent = append(r.sent, e)
	case record.Confirmed:
		r.confirmed = e.Time
	case record.Unsure:
		r.unsure++
	case record.DoStart:
		r.starts = append(r.starts, e)
		if r.poison() {
			c.poisoned[e.PID] = e.Time
		}
	case record.DoEnd:
		r.ends = append(r.ends, e)
	case record.Settled:
		r.settled = append(r.settled, e)
	case record.Outcome:
		r.outcomes = append(r.outcomes, e)
	case record.Missing:
		r.missing = true
	case record.Dead:
		r.dead = append(r.dead, e)
	case record.HelperStart:
		r.helpers++
	case record.HelperEnd:
		if strings.Contains(e.Error, "preempted") {
			r.preempted++
		}
	}
}

func (r *request) poison() bool {
	return len(r.sent) > 0 && r.sent[0].Input != nil && r.sent[0].Input.Poison
}

// told is when the client had the outcome; zero: never.
func (r *request) told() time.Time {
	if len(r.outcomes) == 0 {
		return time.Time{}
	}
	return r.outcomes[0].Time
}

// ended is when a run that began with start ended, itself or with its process;
// zero: it did not.
func (c *course) ended(r *request, start record.Event) time.Time {
	for _, e := range r.ends {
		if e.PID == start.PID && e.Attempt == start.Attempt && !e.Time.Before(start.Time) {
			return e.Time
		}
	}
	for _, d := range c.deaths {
		if d.PID == start.PID && !d.Time.Before(start.Time) {
			return d.Time
		}
	}
	return time.Time{}
}

// count counts what a fault found: what was open when it began, and what ran
// where it hit before it was over.
func (c *course) count(f *fault) {
	for _, id := range c.order {
		r := c.requests[id]
		if told := r.told(); !r.sent[0].Time.After(f.begin) && (told.IsZero() || told.After(f.begin)) {
			f.open++
		}
		for _, s := range r.starts {
			end := c.ended(r, s)
			before := f.end.IsZero() || !s.Time.After(f.end)
			if slices.Contains(f.servers, s.Server) && before && (end.IsZero() || end.After(f.begin)) {
				f.ran++
				break
			}
		}
	}
}

// helped counts the requests that had assistants, and those that lost some to
// other requests.
func (c *course) helped() (helped, interrupted int) {
	for _, r := range c.requests {
		if r.helpers > 0 {
			helped++
		}
		if r.preempted > 0 {
			interrupted++
		}
	}
	return helped, interrupted
}

func (c *course) runs() (n int) {
	for _, r := range c.requests {
		n += len(r.starts)
	}
	return n
}

func (c *course) unsure() (n int) {
	for _, r := range c.requests {
		n += r.unsure
	}
	return n
}

// span is a time in which nothing happened.
type span struct{ from, to time.Time }

func (s span) length() time.Duration { return s.to.Sub(s.from) }

// gap is the longest time without the end of a run while some request was open.
func (c *course) gap() (longest span) {
	open := make(map[string]bool)
	var since time.Time
	until := func(t time.Time) {
		if s := (span{since, t}); s.length() > longest.length() {
			longest = s
		}
		since = t
	}
	for _, e := range c.events {
		switch {
		case e.What == record.Sent:
			if len(open) == 0 {
				since = e.Time
			}
			open[e.ID] = true
		case e.What == record.Outcome && open[e.ID]:
			delete(open, e.ID)
			if len(open) == 0 {
				until(e.Time)
			}
		case e.What == record.DoEnd && len(open) > 0:
			until(e.Time)
		}
	}
	if last := len(c.events) - 1; len(open) > 0 {
		until(c.events[last].Time) // when somebody gave up
	}
	return longest
}
