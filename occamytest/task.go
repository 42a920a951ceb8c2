package occamytest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/occamy-go/occamy"
)

// Task checks that a task is a good citizen of a server: that
//
//   - it stops within the kill time ([KillTimeout]) after its context was
//     cancelled: before Do begins, as it begins, at several moments of its run,
//     during Expand and during Control, and so do its helpers
//   - it does not claim success when it was stopped half-way (see below)
//   - it leaves no goroutine behind: none that Do, Expand or Control started
//     runs a second after the last of them returned ([IgnoreGoroutine])
//   - it uses no more CPU time than its slot has cores for ([Cores]), while it
//     runs alone and nobody stops it
//   - Expand returns in time ([ExpandTimeout]), at most as many tasks as it was
//     asked for, none of them nil and none twice
//   - Details says the same each time, before, during and after the run, of the
//     task and its helpers; and all tasks of the factory have one ID and kind
//   - it can be run again: after an interruption a new task of the factory,
//     with the progress that the first one reported, completes
//   - nothing panics
//
// factory stands for a handler that gets one request again and again: it returns
// a new task each time. Each runs on a server of its own, where
// occamy.SetResult, ReportProgress and LastProgress work. There are 11 to 15
// runs, so give it a task that takes some tenths of a second ([Within]), or one
// that has no end ([Endless]).
//
// What a nil means: a task that returns nil after it was stopped says that its
// work is complete. With [Complete] the result tells. Without, two runs that
// nobody stops come first. Where both give the same result, one that was stopped
// must have given it too, and so must one that was resumed. Where they differ
// ([Varying]), or give none, nobody can compare; then a nil is refused from a run
// that took less than a quarter of the shorter of the two, unless that took less
// than 1 ms.
//
// CPU time is that of the whole process and its children, so the garbage
// collector counts, and so do other tests: do not call t.Parallel. The lower of
// the two runs counts, and a quarter of its slot's cores is allowed on top.
// Nothing is judged where a run takes less than 50 ms, or on systems without
// getrusage (all that are not Unix); the log says so.
//
// Goroutines are told by their profiler labels (package runtime/pprof), which a
// goroutine has from the one that started it: one that gives up the labels of
// its context is not seen.
//
// In a bubble of testing/synctest it works for tasks that only wait.
//
// Each failure is one call of t.Errorf that says what the task did, what was
// expected, and what to do. A kind of failure is reported once. A task that does
// not stop at all ends the check, and its goroutine remains.
func Task(t TB, factory func() occamy.Task, options ...Option) {
	t.Helper()
	c := &taskCheck{limits: newLimits(options), factory: factory}
	c.all()
	for _, n := range c.notes {
		t.Logf("occamytest: %s", n)
	}
	for _, f := range c.found {
		t.Errorf("occamytest: %s: %s", f.kind, f.text)
	}
}

// taskCheck is one call of Task.
type taskCheck struct {
	limits
	factory func() occamy.Task
	found   []finding
	notes   []string

	details  occamy.Details // of the first task
	shortest time.Duration  // of the runs that nobody stopped
	want     []byte         // what they gave; nil when they cannot be compared
	resume   *run           // an interrupted one
}

func (c *taskCheck) find(kind, format string, args ...any) {
	c.take([]finding{{kind, fmt.Sprintf(format, args...)}})
}

// take keeps the first finding of each kind.
func (c *taskCheck) take(findings []finding) {
	for _, f := range findings {
		known := false
		for _, k := range c.found {
			known = known || k.kind == f.kind
		}
		if !known {
			c.found = append(c.found, f)
		}
	}
}

func (c *taskCheck) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// all makes the runs. Each returns false when there is no use in the next.
func (c *taskCheck) all() {
	sample := c.sample()
	if sample == nil || !c.undisturbed() {
		return
	}
	if !c.interrupted() || !c.resumed() {
		return
	}
	if _, ok := sample.(occamy.Expander); ok && !c.expansion() {
		return
	}
	if _, ok := sample.(occamy.Controller); ok {
		c.control()
	}
}

// sample looks at a task that does not run; nil for none that is usable.
func (c *taskCheck) sample() (task occamy.Task) {
	defer func() {
		if v := recover(); v != nil {
			c.find("panic", "the factory or Details panicked: %v; expected a task that describes itself.", v)
			task = nil
		}
	}()
	task = c.factory()
	if isNil(task) {
		c.find("factory", "it returned a nil task (of type %T); expected a new task each time.", task)
		return nil
	}
	c.details = task.Details()
	second := c.factory()
	if isNil(second) || hasIdentity(task) && task == second {
		c.find("factory", "it returned nil or the same task (%p) twice; expected a new task each time, as a handler makes one for each delivery. Make the task in the factory, not outside.", task)
		return nil
	}
	if d := second.Details(); d.ID != c.details.ID || d.Kind != c.details.Kind {
		c.find("details", "two tasks of the factory have the ID %q and the kind %q, and %q and %q; expected the same for both, since they are attempts at one request, whose progress is kept under its ID. Take the ID from the request, or leave it empty.",
			c.details.ID, c.details.Kind, d.ID, d.Kind)
	}
	return task
}

// try makes one run: during is called once Do begins, and may stop it. It
// returns nil when the check cannot go on.
func (c *taskCheck) try(d *Delivery, slots int, prepare func(*run), during func(*run)) *run {
	r, err := c.newRun(c.factory(), d, slots)
	if err != nil {
		c.find("limits", "%v", err)
		return nil
	}
	prepare(r)
	if !r.start() {
		_ = r.stop()
		c.take(r.close())
		c.find("start", "Do was never called: the request was %s: %q. Expected a task that the server takes.", d.Settlement().Fate, d.Settlement().Reason)
		return nil
	}
	during(r)
	stopped := r.stop()
	c.take(r.close())
	if !stopped {
		return nil
	}
	return r
}

func plain(*run) {}

// undisturbed makes the runs that nobody stops.
func (c *taskCheck) undisturbed() bool {
	const runs = 2
	var results [runs][]byte
	var load [runs]float64
	for i := range runs {
		r := c.try(firstDelivery(), 1, plain, func(r *run) {
			c.watch(r, func() bool { return r.wait(c.length()) })
		})
		if r == nil || !c.ended(r, "nobody stopped it") {
			return false
		}
		if i == 0 || r.took < c.shortest {
			c.shortest = r.took
		}
		results[i] = r.result()
		load[i] = r.used.Seconds() / r.took.Seconds()
	}
	if !c.varying && results[0] != nil && bytes.Equal(results[0], results[1]) {
		c.want = results[0]
	}
	c.judgeLoad(min(load[0], load[1]))
	return true
}

// length is for how long a run is watched.
func (c *taskCheck) length() time.Duration {
	if c.endure > 0 {
		return c.endure
	}
	return c.within
}

// watch asks the task for its details while it runs.
func (c *taskCheck) watch(r *run, until func() bool) {
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for pause := time.Millisecond; ctx.Err() == nil; pause *= 2 {
			r.askDetails()
			t := time.NewTimer(pause)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		}
	}()
	until()
	cancel()
	<-asked
}

// askDetails has the probe compare, and note a panic.
func (r *run) askDetails() {
	defer func() { _ = recover() }()
	r.watched.Details()
}

// ended judges a run that was left alone until its end.
func (c *taskCheck) ended(r *run, circumstances string) bool {
	switch {
	case c.endure > 0 && r.stoppedAt.IsZero():
		c.find("end", "Do returned (%v) after %v although %s; expected it to go on until it is stopped. If the task has an end of its own, leave out Endless.", r.err, r.took, circumstances)
	case c.endure > 0:
		c.judgeStopped(r)
		return true
	case !r.stoppedAt.IsZero():
		c.find("time", "Do had not returned after %v, though %s; expected an end within that time. Give a smaller task, or a longer time with Within, or Endless when it runs until it is stopped.", c.within, circumstances)
	case !r.returned:
		// The panic has been found.
	case r.err != nil:
		c.find("failure", "Do returned %q, though %s; expected nil. The request would be %s.", r.err, circumstances, r.delivery.Settlement().Fate)
	default:
		return c.judgeResult(r, circumstances)
	}
	return false
}

// interrupted stops the task at moments that lie close at first.
func (c *taskCheck) interrupted() bool {
	early := c.try(firstDelivery(), 1, func(r *run) { r.awaitStop = true }, plain)
	if early == nil {
		return false
	}
	c.judgeStopped(early)
	span := c.shortest
	for _, share := range []float64{0, 1. / 64, 1. / 16, 1. / 4, rand.Float64(), 1. / 2, 7. / 8} {
		r := c.try(firstDelivery(), 1, plain, func(r *run) { r.wait(time.Duration(share * float64(span))) })
		if r == nil {
			return false
		}
		if r.stoppedAt.IsZero() {
			c.ended(r, "nobody stopped it")
			continue
		}
		c.judgeStopped(r)
		if r.delivery.Settlement().Fate == Requeued && share <= 1./2 {
			c.resume = r // the last of them that was half-way
		}
	}
	return true
}

// resumed delivers an interrupted request again.
func (c *taskCheck) resumed() bool {
	if c.resume == nil {
		c.note("the task was complete whenever it was to be interrupted, so it was not resumed: give it more to do")
		return true
	}
	next := c.resume.delivery.Redeliver()
	progress, _ := next.LastProgress(context.Background())
	circumstances := fmt.Sprintf("it was attempt 2, with the %d bytes of progress that attempt 1 had reported when it was stopped", len(progress))
	r := c.try(next, 1, plain, func(r *run) { r.wait(c.length()) })
	if r == nil {
		return false
	}
	before := len(c.found)
	if !c.ended(r, circumstances) {
		for i := before; i < len(c.found); i++ {
			c.found[i].kind = "resume"
			c.found[i].text += " Have what the request needs in the request or its progress, and take progress that is short or old for what it is."
		}
	}
	return true
}

// expansion runs the task where there is room for helpers.
func (c *taskCheck) expansion() bool {
	const helpers = 3
	alone := c.try(firstDelivery(), 1+helpers, func(r *run) { r.expanded = make(chan struct{}) }, func(r *run) {
		c.watch(r, func() bool { return r.wait(c.length()) })
	})
	if alone == nil {
		return false
	}
	if c.endure > 0 || c.complete != nil || !alone.completed() {
		c.ended(alone, "it had helpers")
	}
	cut := c.try(firstDelivery(), 2, plain, func(r *run) { await(r.expanding, r.ended) })
	if cut == nil {
		return false
	}
	c.judgeStopped(cut)
	c.judgeExpand(alone, cut)
	return true
}

// control sends the task messages: first it is stopped as it gets one, then
// when it has had all.
func (c *taskCheck) control() {
	messages := append(c.messages, garbageMessages()...)
	id := c.details.ID
	if id == "" {
		id = testID
	}
	send := func(r *run) {
		for _, m := range messages {
			r.server.HandleControl(NewMessage(With(m.headers, ControlHeaders(id)), bytes.Clone(m.body)))
		}
	}
	for _, all := range []bool{false, true} {
		r := c.try(firstDelivery(), 1, plain, func(r *run) {
			send(r)
			await(r.controlling, r.ended)
			patience := time.After(c.kill)
			for all && r.handledSoFar() < len(messages) {
				select {
				case <-r.handled:
				case <-r.ended:
					return
				case <-patience:
					return
				}
			}
		})
		if r == nil {
			return
		}
	}
}

func (r *run) handledSoFar() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.controlled
}

func await(a, b <-chan struct{}) {
	select {
	case <-a:
	case <-b:
	}
}
