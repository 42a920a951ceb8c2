package occamytest

import (
	"bytes"
	"fmt"
	"reflect"
	"time"

	"github.com/occamy-go/occamy"
)

const (
	// Runs take this long, or their times, and their CPU times, say nothing.
	leastTime = time.Millisecond
	leastLoad = 50 * time.Millisecond
	// cpuTolerance is what a run may use beyond its slot's share.
	cpuTolerance = 1.25
)

// judgeStopped refuses a nil of a task that was stopped half-way.
func (c *taskCheck) judgeStopped(r *run) {
	if !r.completed() || !r.cut {
		return
	}
	const todo = "The server acks the request then, and nobody ever completes it. Return context.Cause(ctx) when ctx ends first."
	var why string
	switch {
	case c.endure > 0:
		why = "a task that runs until it is stopped is never complete"
	case c.incomplete(r) != nil:
		why = fmt.Sprintf("its result %s is not complete: %v", show(r.result()), c.incomplete(r))
	case c.complete != nil && !c.varying:
	case c.want != nil:
		if !bytes.Equal(r.result(), c.want) {
			why = fmt.Sprintf("its result is %s, and that of the runs that nobody stopped %s", show(r.result()), show(c.want))
		}
	case c.shortest >= leastTime && r.took < c.shortest/4:
		why = fmt.Sprintf("it had run for %v, and when nobody stops it it takes %v (where that can be enough, say so with Complete)", r.took, c.shortest)
	}
	if why != "" {
		c.find("success", "%s, and Do returned nil, which claims that the work is complete; but %s. %s", r.occasion(), why, todo)
	}
}

// incomplete is what Complete says.
func (c *taskCheck) incomplete(r *run) error {
	if c.complete == nil {
		return nil
	}
	return c.complete(r.result())
}

// judgeResult judges the result of a run that completed.
func (c *taskCheck) judgeResult(r *run, circumstances string) bool {
	if err := c.incomplete(r); err != nil {
		c.find("result", "Do returned nil and the result %s, though %s; but Complete says: %v. One of the two is wrong.", show(r.result()), circumstances, err)
		return false
	}
	if c.complete == nil && c.want != nil && !bytes.Equal(r.result(), c.want) {
		c.find("result", "Do returned nil and the result %s, though %s; expected %s, as each run gave that nobody stopped. Where several results are right, say so with Varying, or tell them from wrong ones with Complete.", show(r.result()), circumstances, show(c.want))
		return false
	}
	return true
}

// judgeLoad judges CPU time over time.
func (c *taskCheck) judgeLoad(cores float64) {
	if _, known := cpuTime(); !known {
		c.note("CPU time is not known on this system, so it is not judged")
		return
	}
	if c.shortest < leastLoad {
		c.note("CPU time is not judged in a run of %v: give the task at least %v of work", c.shortest, leastLoad)
		return
	}
	if cores > c.cores*cpuTolerance {
		c.find("cpu", "the process used %.2f cores while the task ran alone in its slot for %v; expected at most %.2f (and a quarter of that on top), since the other slots are taken by other tasks. Start no more computing goroutines than the slot has cores for, allocate less, and return helpers from Expand instead. (Cores says how many cores a slot has; tests that run in parallel count too.)",
			cores, c.shortest.Round(time.Millisecond), c.cores)
	}
}

// judgeExpand judges by the fastest call of Expand, since a machine that is busy
// makes others slow.
func (c *taskCheck) judgeExpand(runs ...*run) {
	fastest := time.Duration(-1)
	for _, r := range runs {
		r.mu.Lock()
		if r.fastest >= 0 && (fastest < 0 || r.fastest < fastest) {
			fastest = r.fastest
		}
		r.mu.Unlock()
	}
	if fastest > c.expand {
		c.find("expand", "Expand took %v; expected at most %v, since slots are held back for what it returns. Only make the tasks in it: what takes time belongs into their Do.", fastest.Round(time.Microsecond), c.expand)
	}
}

// show quotes what a result begins with.
func show(b []byte) string {
	const most = 60
	switch {
	case b == nil:
		return "(none)"
	case len(b) > most:
		return fmt.Sprintf("%q… (%d bytes)", b[:most], len(b))
	}
	return fmt.Sprintf("%q", b)
}

// hasIdentity leaves out what cannot be told apart: values, and pointers to
// nothing.
func hasIdentity(t occamy.Task) bool {
	of := reflect.TypeOf(t)
	return of != nil && of.Kind() == reflect.Pointer && of.Elem().Size() > 0
}

func isNil(t occamy.Task) bool {
	v := reflect.ValueOf(t)
	return t == nil || v.Kind() == reflect.Pointer && v.IsNil()
}
