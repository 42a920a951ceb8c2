package occamytest

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

// run is one attempt at the task's request, on a server of its own.
type run struct {
	limits
	label    string
	task     occamy.Task // of the user
	watched  occamy.Task // the probe around it
	delivery *Delivery
	server   *occamy.Server

	awaitStop bool          // Do begins when its context has ended
	expanded  chan struct{} // Do begins when it is closed, after the first Expand; nil: at once

	began, ended chan struct{} // Do of the request's task; began before awaitStop
	expanding    chan struct{} // closed when Expand is first called
	controlling  chan struct{} // the same for Control

	// Written before ended is closed.
	err        error
	returned   bool // false: it panicked, or called runtime.Goexit
	cut        bool // the context had ended when Do returned
	beganAt    time.Time
	took, used time.Duration // used: CPU time of the process

	stoppedAt time.Time // by the check, which owns it; zero: Do had ended

	mu         sync.Mutex
	open       []string      // the user's calls that have not returned; guarded by mu
	idle       chan struct{} // closed while there are none; guarded by mu
	idleAt     time.Time     // guarded by mu
	findings   []finding     // guarded by mu
	offers     map[any]bool  // tasks that Expand gave; guarded by mu
	fastest    time.Duration // of the calls of Expand; negative for none; guarded by mu
	controlled int           // calls of Control that have returned; guarded by mu
	handled    chan struct{} // has an element after Control returned
}

// finding is one thing that is wrong. Of each kind only the first is reported.
type finding struct{ kind, text string }

const (
	testKind = "occamytest"
	testID   = "occamytest"
)

// firstDelivery is the request that all runs but the resumed one begin with. Its
// sender asks for the outcome.
func firstDelivery() *Delivery {
	h := RequestHeaders(testKind, testID)
	h[occamy.DefaultHeaderKeys().Outcome] = "true"
	return NewDelivery(h, nil)
}

func (l limits) newRun(task occamy.Task, d *Delivery, slots int) (*run, error) {
	r := &run{
		limits: l, task: task, delivery: d, fastest: -1,
		began: make(chan struct{}), ended: make(chan struct{}), idle: make(chan struct{}),
		expanding: make(chan struct{}), controlling: make(chan struct{}),
		offers: map[any]bool{}, handled: make(chan struct{}, 1),
	}
	close(r.idle)
	r.label = fmt.Sprintf("%p", r)
	r.watched = newProbe(r, task, true)
	var err error
	r.server, err = occamy.New(occamy.Config{
		ID: "occamytest", Slots: slots, Kinds: []string{testKind},
		KillTimeout: l.kill, ExpandTimeout: l.expand, ExpansionPeriod: 50 * time.Millisecond,
		Handler: occamy.HandlerFunc(func(context.Context, occamy.Request) (occamy.Task, error) {
			return r.watched, nil
		}),
	})
	return r, err
}

// start hands the request to the server and waits until Do begins. It returns
// false when it never does.
func (r *run) start() bool {
	r.server.HandleRequest(r.delivery)
	select {
	case <-r.began:
		return true
	case <-r.delivery.Settled():
	}
	select {
	case <-r.began: // and it has ended
		return true
	default:
		return false
	}
}

// wait waits until Do has ended, for d at most.
func (r *run) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.ended:
		return true
	case <-t.C:
		return false
	}
}

// stop shuts the server down at once, so that the request is requeued unless it
// is complete, and waits until the user's calls have returned. It returns false,
// with a finding, when they do not.
func (r *run) stop() bool {
	from := time.Now()
	select {
	case <-r.ended:
		<-r.delivery.Settled() // by what Do returned, not by the shutdown
	default:
		r.stoppedAt = from
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.server.Shutdown(ctx) // who is stuck is seen below, with its stack
	return r.awaitIdle(from)
}

func (r *run) awaitIdle(from time.Time) bool {
	if r.idleWithin(time.Until(from.Add(r.kill))) && !r.lateBy(from) {
		return true
	}
	open := r.openCalls()
	where := ""
	if len(open) > 0 {
		where = "\nWhere it was then:\n" + join(stacks(r.label, nil))
	}
	how := fmt.Sprintf("%s had not returned %v later", open, 3*r.kill)
	back := r.idleWithin(2 * r.kill)
	if back {
		r.mu.Lock()
		how = fmt.Sprintf("its last call returned %v later", r.idleAt.Sub(from).Round(time.Microsecond))
		r.mu.Unlock()
	}
	r.find("stop", "%s, and %s; expected within the kill time, %v. A server that waits for a slot waits that long: look at ctx between short steps, and pass it to all that blocks.%s",
		r.occasion(), how, r.kill, where)
	return back
}

// lateBy reports whether the last call returned too late, though before anybody
// looked.
func (r *run) lateBy(from time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.idleAt.Sub(from) > r.kill
}

func (r *run) idleWithin(d time.Duration) bool {
	r.mu.Lock()
	idle := r.idle
	r.mu.Unlock()
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-idle:
		return true
	case <-t.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open) == 0
}

func (r *run) openCalls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.open)
}

// occasion says when the task was stopped.
func (r *run) occasion() string {
	switch {
	case r.stoppedAt.IsZero():
		return "the task of the request had ended"
	case r.awaitStop:
		return "the context was cancelled before Do began"
	}
	return fmt.Sprintf("the context was cancelled %v after Do began", r.stoppedAt.Sub(r.beganAt).Round(time.Microsecond))
}

// result is what the sender of the request got.
func (r *run) result() []byte {
	for _, o := range r.delivery.Outcomes() {
		if o.Status == occamy.Completed {
			return o.Result
		}
	}
	return nil
}

// completed reports whether Do returned nil.
func (r *run) completed() bool { return r.returned && r.err == nil }

func (r *run) find(kind, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings = append(r.findings, finding{kind, fmt.Sprintf(format, args...)})
}

// close looks at what is left when all calls have returned, and returns all that
// was found.
func (r *run) close() []finding {
	if len(r.openCalls()) == 0 {
		if found := left(r.label, r.ignored); len(found) > 0 {
			r.find("goroutine", "%s, and %v after its last call had returned %d goroutine(s) that it started still ran; expected none, since they take CPU and memory from the next task in the slot. Wait for them before Do returns.\n%s",
				r.occasion(), leakGrace, len(found), join(found))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.findings)
}

// guard calls the user's code under the label, notes a panic, and lets it pass.
func (r *run) guard(ctx context.Context, op string, f func(context.Context)) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover() // nil when the goroutine ends
		r.find("panic", "%v\nThe server survives it and rejects the request for good; expected an error. (A panic in a goroutine that the task starts itself would end the process.)",
			&occamy.PanicError{Op: op, Value: v, Stack: debug.Stack()})
		if v != nil {
			panic(v)
		}
	}()
	labelled(ctx, r.label, f)
	returned = true
}

// enter notes that a call of the user begins; the function that it returns, that
// it has ended.
func (r *run) enter(call string) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) == 0 {
		r.idle = make(chan struct{})
	}
	r.open = append(r.open, call)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.Index(r.open, call)
		r.open = slices.Delete(r.open, i, i+1)
		if len(r.open) == 0 {
			r.idleAt = time.Now()
			close(r.idle)
		}
	}
}
