package occamytest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

// Bounds on a call of a handler.
const (
	// handlerFast is what making a task may take.
	handlerFast = 100 * time.Millisecond
	// handlerLimit is the default of Config.HandlerTimeout: garbage may take
	// long, but not that long.
	handlerLimit = 5 * time.Second
)

// Handler checks that a handler is a good citizen of a server. Each example is a
// good request: complete, as a server would hand it over. That
//
//   - it gives a task for each example, a new one each time, with the same
//     details each time (a deadline that is counted from now is a finding: a
//     request that is delivered again would never expire)
//   - it is fast: of three calls for each example the fastest takes at most
//     100 ms, and none, whatever it is given, 5 s
//   - it survives garbage: bodies that are empty, random, cut off or changed,
//     headers of wrong types, huge or many, the examples' own headers too. It
//     gives a task or an error, never neither, and does not panic
//   - it does not change the headers and the body of a request
//   - it may be called from several goroutines at a time (run the test with
//     -race), and leaves none behind
//
// The garbage is the same in each run. It is not for handlers that cause effects
// elsewhere when they are called: work belongs into Do. Each failure is one call
// of t.Errorf; a kind of failure is reported once. A call that does not return
// ends the check, and its goroutine remains.
func Handler(t TB, h occamy.Handler, examples ...occamy.Request) {
	t.Helper()
	c := &handlerCheck{handler: h, said: map[string]bool{}}
	c.label = fmt.Sprintf("%p", c)
	if h == nil || len(examples) == 0 {
		t.Errorf("occamytest: Handler wants a handler and at least one good request to try it with")
		return
	}
	c.all(examples)
	for _, f := range c.found {
		t.Errorf("occamytest: %s: %s", f.kind, f.text)
	}
}

// handlerCheck is one call of Handler.
type handlerCheck struct {
	handler occamy.Handler
	label   string

	mu    sync.Mutex
	found []finding       // guarded by mu
	said  map[string]bool // the kinds in found; guarded by mu
	hung  bool            // a call has not returned; guarded by mu
}

func (c *handlerCheck) find(kind, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.said[kind] {
		c.said[kind] = true
		c.found = append(c.found, finding{kind, fmt.Sprintf(format, args...)})
	}
}

func (c *handlerCheck) stuck() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hung
}

func (c *handlerCheck) all(examples []occamy.Request) {
	for i, r := range examples {
		c.good(fmt.Sprintf("example %d", i), r)
	}
	c.together(examples)
	for i, r := range examples {
		for _, g := range spoiled(r) {
			if c.stuck() {
				return
			}
			g.what = fmt.Sprintf("example %d with %s", i, g.what)
			c.call(context.Background(), g.what, g.request)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		c.call(ctx, fmt.Sprintf("example %d with a context that has ended", i), r)
	}
	if c.stuck() {
		return
	}
	if found := left(c.label, nil); len(found) > 0 {
		c.find("goroutine", "%v after the last call had returned %d goroutine(s) that Handle started still ran; expected none. Start them in Do, and wait for them there.\n%s", leakGrace, len(found), join(found))
	}
}

// answer is what a call of Handle gave.
type answer struct {
	task     occamy.Task // nil: none that is usable
	details  occamy.Details
	err      error
	took     time.Duration
	returned bool
}

// call calls the handler as a server would, and judges what is never right.
func (c *handlerCheck) call(ctx context.Context, what string, r occamy.Request) answer {
	ctx, cancel := context.WithTimeoutCause(ctx, handlerLimit, occamy.ErrHandlerTimeout)
	defer cancel()
	given := r
	given.Headers, given.Body = maps.Clone(r.Headers), bytes.Clone(r.Body)
	answers := make(chan answer, 1)
	go func() {
		var a answer
		panicked := true
		defer func() {
			if panicked {
				c.find("panic", "%s: Handle, or Details of its task, panicked or ended its goroutine: %v. Expected a task or an error: a request comes from outside, so check it before it is used.\n%s", what, recover(), debug.Stack())
			}
			answers <- a
		}()
		labelled(ctx, c.label, func(ctx context.Context) { a = c.handle(ctx, what, given) })
		panicked, a.returned = false, true
	}()
	limit := time.NewTimer(handlerLimit)
	defer limit.Stop()
	var a answer
	select {
	case a = <-answers:
	case <-limit.C:
		c.mu.Lock()
		c.hung = true
		c.mu.Unlock()
		c.find("slow", "%s: Handle had not returned after %v, when a server rejects the request. Look at ctx, and move the work to Do.\nWhere it was then:\n%s", what, handlerLimit, join(stacks(c.label, nil)))
		return a
	}
	if !bytes.Equal(given.Body, r.Body) || !sameKeys(given.Headers, r.Headers) {
		c.find("mutated", "%s: Handle changed the headers or the body of the request; expected them as they were, since the message keeps them, for another delivery or the dead letters. Work on a copy.", what)
	}
	return a
}

// sameKeys compares headers as far as can be done with values of any type.
func sameKeys(a, b occamy.Headers) bool {
	return maps.EqualFunc(a, b, func(x, y any) bool { return fmt.Sprintf("%T", x) == fmt.Sprintf("%T", y) && sameString(x, y) })
}

func sameString(x, y any) bool {
	s, ok := x.(string)
	return !ok || s == y
}

func (c *handlerCheck) handle(ctx context.Context, what string, r occamy.Request) answer {
	begun := time.Now()
	task, err := c.handler.Handle(ctx, r)
	a := answer{err: err, took: time.Since(begun)}
	if err != nil {
		_ = err.Error() // which may panic
		return a
	}
	if isNil(task) {
		c.find("nil", "%s: Handle returned a nil task (of type %T) and no error; expected one of the two. Return an error that says what is wrong with the request: it is the reason that its sender gets.", what, task)
		return a
	}
	a.task, a.details = task, task.Details()
	if again := task.Details(); !sameDetails(again, a.details) {
		c.find("details", "%s: Details of one task said %+v and then %+v; expected the same each time. Make up the details once, when the task is made.", what, a.details, again)
	}
	return a
}

// good judges the answers to a good request.
func (c *handlerCheck) good(what string, r occamy.Request) {
	const calls = 3
	var first answer
	fastest := handlerLimit
	for i := range calls {
		if c.stuck() {
			return
		}
		a := c.call(context.Background(), what, r)
		if a.err != nil {
			c.find("refused", "%s: Handle returned %q; expected a task, since the examples are good requests. Is a header missing in the example?", what, a.err)
		}
		if a.task == nil {
			return
		}
		fastest = min(fastest, a.took)
		if i == 0 {
			first = a
			continue
		}
		if hasIdentity(a.task) && a.task == first.task {
			c.find("shared", "%s: Handle returned the same task (%p) twice; expected a new one each time, since two requests with one ID both run. Make the task in Handle.", what, a.task)
		}
		if !sameDetails(a.details, first.details) {
			c.find("details", "%s: the task of the first call had the details %+v, that of a later one %+v; expected the same, since a request may be delivered again. Take the details from the request.", what, first.details, a.details)
		}
	}
	if fastest > handlerFast {
		c.find("slow", "%s: the fastest of %d calls of Handle took %v; expected at most %v, since its request waits. Move the work to Do.", what, calls, fastest.Round(time.Millisecond), handlerFast)
	}
}

// together calls the handler from several goroutines at a time.
func (c *handlerCheck) together(examples []occamy.Request) {
	if c.stuck() {
		return
	}
	const each = 4
	var calls sync.WaitGroup
	for i, r := range slices.Concat(slices.Repeat(examples, each)) {
		calls.Go(func() {
			c.call(context.Background(), fmt.Sprintf("example %d, at the same time as others", i%len(examples)), r)
		})
	}
	calls.Wait()
}

type spoiledRequest struct {
	what    string
	request occamy.Request
}

// spoiled are variants of a good request in each of which one thing is wrong.
func spoiled(r occamy.Request) []spoiledRequest {
	var all []spoiledRequest
	add := func(what string, change func(*occamy.Request)) {
		s := r
		s.Headers, s.Body = maps.Clone(r.Headers), bytes.Clone(r.Body)
		if s.Headers == nil {
			s.Headers = occamy.Headers{}
		}
		change(&s)
		all = append(all, spoiledRequest{what, s})
	}
	for _, b := range garbageBodies() {
		add("the body "+show(b), func(r *occamy.Request) { r.Body = b })
	}
	for _, n := range []int{1, len(r.Body) / 2, len(r.Body) - 1} {
		if n > 0 && n < len(r.Body) {
			add(fmt.Sprintf("only the first %d bytes of its body", n), func(r *occamy.Request) { r.Body = r.Body[:n] })
		}
	}
	for i := range 16 {
		if n := len(r.Body); n > 0 {
			at := i * n / 16
			add(fmt.Sprintf("byte %d of its body changed", at), func(r *occamy.Request) { r.Body[at] ^= byte(1 << (i % 8)) })
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.Headers)) {
		add("no header "+key, func(r *occamy.Request) { delete(r.Headers, key) })
		for _, v := range garbageValues() {
			add(fmt.Sprintf("the header %s: %.60T %.60q", key, v, fmt.Sprint(v)), func(r *occamy.Request) { r.Headers[key] = v })
		}
	}
	add("nil headers", func(r *occamy.Request) { r.Headers = nil })
	add("10,000 headers", func(r *occamy.Request) { maps.Copy(r.Headers, manyHeaders()) })
	add("another kind", func(r *occamy.Request) { r.Kind = "\x00 kind" })
	add("no ID", func(r *occamy.Request) { r.ID = "" })
	add("a huge ID", func(r *occamy.Request) { r.ID = string(random(1 << 20)) })
	add("the attempt -1", func(r *occamy.Request) { r.Attempt = -1 })
	add("the other value of Optional", func(r *occamy.Request) { r.Optional = !r.Optional })
	return all
}
