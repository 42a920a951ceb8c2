package occamytest

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

// probe stands between the server and a task of the user, and watches.
type probe struct {
	run   *run
	task  occamy.Task
	root  bool
	once  sync.Once
	first occamy.Details
}

// newProbe returns a task that has the abilities of the task that it watches.
func newProbe(r *run, t occamy.Task, root bool) occamy.Task {
	p := &probe{run: r, task: t, root: root}
	e, expands := t.(occamy.Expander)
	c, controls := t.(occamy.Controller)
	switch {
	case expands && controls:
		return struct {
			*probe
			expandProbe
			controlProbe
		}{p, expandProbe{p, e, &sync.Once{}, &sync.Once{}}, controlProbe{p, c, &sync.Once{}}}
	case expands:
		return struct {
			*probe
			expandProbe
		}{p, expandProbe{p, e, &sync.Once{}, &sync.Once{}}}
	case controls:
		return struct {
			*probe
			controlProbe
		}{p, controlProbe{p, c, &sync.Once{}}}
	}
	return p
}

// name is what findings call the task.
func (p *probe) name() string {
	if p.root {
		return "the task"
	}
	return "a helper that Expand returned"
}

// Details asks the task, and compares.
func (p *probe) Details() occamy.Details {
	var d occamy.Details
	p.run.guard(context.Background(), "Details", func(context.Context) { d = p.task.Details() })
	p.once.Do(func() { p.first = d })
	if !sameDetails(d, p.first) {
		p.run.find("details", "%s said %+v first and %+v later; expected the same each time, while it runs and after its end. Make up the details once, when the task is made.", p.name(), p.first, d)
	}
	return d
}

func sameDetails(a, b occamy.Details) bool {
	if !a.Deadline.Equal(b.Deadline) {
		return false
	}
	a.Deadline = b.Deadline
	return a == b
}

// Do runs the task under the label.
func (p *probe) Do(ctx context.Context) error {
	if !p.root {
		return p.help(ctx)
	}
	r := p.run
	if r.awaitStop {
		close(r.began)
		<-ctx.Done()
	} else if r.expanded != nil {
		select {
		case <-r.expanded:
		case <-ctx.Done():
		case <-time.After(2 * r.expand):
		}
	}
	defer r.enter("Do")()
	defer close(r.ended)
	defer p.Details()
	before, _ := cpuTime()
	r.beganAt = time.Now()
	if !r.awaitStop {
		close(r.began)
	}
	defer func() {
		r.took = time.Since(r.beganAt)
		after, _ := cpuTime()
		r.used = after - before
	}()
	r.guard(ctx, "Do", func(ctx context.Context) { r.err = p.task.Do(ctx) })
	r.returned, r.cut = true, ctx.Err() != nil
	return r.err
}

func (p *probe) help(ctx context.Context) (err error) {
	defer p.run.enter("Do of a helper")()
	defer p.Details()
	p.run.guard(ctx, "Do", func(ctx context.Context) { err = p.task.Do(ctx) })
	return err
}

// expandProbe watches Expand.
type expandProbe struct {
	probe    *probe
	expander occamy.Expander
	called   *sync.Once
	returned *sync.Once
}

func (e expandProbe) Expand(ctx context.Context, n int) (helpers []occamy.Task) {
	r := e.probe.run
	if e.probe.root {
		e.called.Do(func() { close(r.expanding) })
		if r.expanded != nil {
			defer e.returned.Do(func() { close(r.expanded) })
		}
	}
	defer r.enter("Expand")()
	begun := time.Now()
	var tasks []occamy.Task
	r.guard(ctx, "Expand", func(ctx context.Context) { tasks = e.expander.Expand(ctx, n) })
	if took := time.Since(begun); ctx.Err() == nil { // else it may have ended early
		r.mu.Lock()
		if r.fastest < 0 || took < r.fastest {
			r.fastest = took
		}
		r.mu.Unlock()
	}
	if len(tasks) > n {
		r.find("offers", "Expand was asked for at most %d tasks and returned %d; the server drops the rest and records an error. Return n or fewer.", n, len(tasks))
	}
	for _, t := range tasks {
		if r.acceptable(e.probe.task, t) {
			helpers = append(helpers, newProbe(r, t, false))
		}
	}
	return helpers
}

// acceptable looks at one offer.
func (r *run) acceptable(owner, t occamy.Task) bool {
	v := reflect.ValueOf(t)
	switch {
	case t == nil, v.Kind() == reflect.Pointer && v.IsNil():
		r.find("offers", "Expand returned a nil task (of type %T). Return fewer tasks when there is no use for more.", t)
		return false
	case v.Kind() != reflect.Pointer || v.Type().Elem().Size() == 0:
		return true // such tasks have no identity
	}
	r.mu.Lock()
	twice := r.offers[t]
	r.offers[t] = true
	r.mu.Unlock()
	switch {
	case t == owner || t == r.task:
		r.find("offers", "Expand returned the task itself; its Do would run twice at a time. Make a new task for each slot.")
	case twice:
		r.find("offers", "Expand returned one task (%p) twice; its Do could run twice at a time. Make a new task for each slot.", t)
	default:
		return true
	}
	return false
}

// controlProbe watches Control.
type controlProbe struct {
	probe      *probe
	controller occamy.Controller
	called     *sync.Once
}

func (c controlProbe) Control(ctx context.Context, h occamy.Headers, body []byte) (err error) {
	r := c.probe.run
	if c.probe.root {
		c.called.Do(func() { close(r.controlling) })
	}
	defer r.enter("Control")()
	defer func() {
		r.mu.Lock()
		r.controlled++
		r.mu.Unlock()
		select {
		case r.handled <- struct{}{}:
		default:
		}
	}()
	r.guard(ctx, "Control", func(ctx context.Context) { err = c.controller.Control(ctx, h, body) })
	return err
}

// Settled passes on what became of the request.
func (p *probe) Settled(ctx context.Context, s occamy.Settlement) {
	if o, ok := p.task.(occamy.SettleObserver); ok {
		p.run.guard(ctx, "Settled", func(ctx context.Context) { o.Settled(ctx, s) })
	}
}
