package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// kind is the one that the fixture's server consumes.
const kind = "work"

// fixture is a server whose handler gives the tasks that a test laid out for
// the IDs of its messages.
type fixture struct {
	*testing.T
	server  *occamy.Server
	monitor *occamytest.Monitor

	mu    sync.Mutex
	plans map[string]func(context.Context, occamy.Request) (occamy.Task, error)
}

// inBubble runs f with a server in virtual time; afterwards the server must
// shut down in time and leave no slot taken.
func inBubble(t *testing.T, slots int, f func(f *fixture), opts ...func(*occamy.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fx := newFixture(t, slots, opts...)
		defer fx.end()
		f(fx)
	})
}

// end shuts the server down; nothing may be left.
func (fx *fixture) end() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := fx.server.Shutdown(ctx); err != nil {
		fx.Errorf("Shutdown: %v", err)
	}
	if got := fx.slots(); strings.Trim(got, "- ") != "" {
		fx.Errorf("slots after shutdown: %s", got)
	}
}

func newFixture(t *testing.T, slots int, opts ...func(*occamy.Config)) *fixture {
	t.Helper()
	fx := &fixture{
		T: t, monitor: &occamytest.Monitor{},
		plans: map[string]func(context.Context, occamy.Request) (occamy.Task, error){},
	}
	cfg := occamy.Config{
		ID: "server", Slots: slots, Kinds: []string{kind},
		Handler: occamy.HandlerFunc(fx.handle), Monitors: fx.monitor.Monitors(),
	}
	for _, o := range opts {
		o(&cfg)
	}
	s, err := occamy.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	fx.server = s
	return fx
}

func (fx *fixture) handle(ctx context.Context, r occamy.Request) (occamy.Task, error) {
	fx.mu.Lock()
	plan := fx.plans[r.ID]
	fx.mu.Unlock()
	if plan == nil {
		return nil, fmt.Errorf("no plan for %q", r.ID)
	}
	return plan(ctx, r)
}

// plan has the handler of an ID do this.
func (fx *fixture) plan(id string, h func(context.Context, occamy.Request) (occamy.Task, error)) {
	fx.mu.Lock()
	defer fx.mu.Unlock()
	fx.plans[id] = h
}

// give has the handler of the task's ID return it.
func (fx *fixture) give(t occamy.Task) {
	fx.plan(t.Details().ID, func(context.Context, occamy.Request) (occamy.Task, error) { return t, nil })
}

// request hands the server a request for the task and returns the message.
func (fx *fixture) request(t occamy.Task) *occamytest.Delivery {
	fx.give(t)
	return fx.requestID(t.Details().ID)
}

func (fx *fixture) requestID(id string) *occamytest.Delivery {
	d := delivery(id)
	fx.server.HandleRequest(d)
	return d
}

func delivery(id string) *occamytest.Delivery {
	return occamytest.NewDelivery(occamytest.RequestHeaders(kind, id), nil)
}

// optional hands the server an optional request for the task.
func (fx *fixture) optional(t occamy.Task) *occamytest.Delivery {
	fx.give(t)
	d := delivery(t.Details().ID)
	fx.server.HandleControl(d)
	return d
}

// control sends a control message to the tasks that bear the ID.
func (fx *fixture) control(id, body string) *occamytest.Message {
	m := occamytest.NewMessage(occamytest.ControlHeaders(id), []byte(body))
	fx.server.HandleControl(m)
	return m
}

func (fx *fixture) command(command, target string) *occamytest.Message {
	m := occamytest.NewMessage(occamytest.CommandHeaders(command, target), nil)
	fx.server.HandleControl(m)
	return m
}

// slots draws the slots: P:id, I:id, E:id for a protected, internal and
// external task, with ~ when it is stopping and ! when it is stuck, - for an
// empty slot. The server is at rest first.
func (fx *fixture) slots() string {
	synctest.Wait()
	return draw(fx.server.Snapshot())
}

func draw(snap occamy.Snapshot) string {
	var b strings.Builder
	for i, s := range snap.Slots {
		if i > 0 {
			b.WriteByte(' ')
		}
		if s.Status == occamy.Empty {
			b.WriteByte('-')
			continue
		}
		b.WriteString(strings.ToUpper(string(s.Status)[:1]) + ":" + s.ID)
		b.WriteString(map[occamy.Phase]string{occamy.Stopping: "~", occamy.Stuck: "!"}[s.Phase])
	}
	return b.String()
}

// want checks the slots.
func (fx *fixture) want(slots string) {
	fx.Helper()
	if got := fx.slots(); got != slots {
		fx.Fatalf("slots are %q, want %q", got, slots)
	}
}

// wantFate waits until the server is at rest and checks how a message fared.
func (fx *fixture) wantFate(m interface {
	Settlements() []occamytest.Settlement
}, fate occamytest.Fate) {
	fx.Helper()
	synctest.Wait()
	got := m.Settlements()
	switch {
	case fate == occamytest.Unsettled && len(got) == 0:
	case len(got) == 1 && got[0].Fate == fate:
	default:
		fx.Errorf("message was settled %v, want once, %q", got, fate)
	}
}

// wantErrors checks that as many errors that are target were recorded.
func (fx *fixture) wantErrors(target error, n int) {
	fx.Helper()
	synctest.Wait()
	if got := fx.monitor.Matching(target); len(got) != n {
		fx.Errorf("%d errors recorded that are %q, want %d: %v", len(got), target, n, fx.monitor.Errors())
	}
}

// wantTaskError checks that an error about the task was recorded that is target.
func (fx *fixture) wantTaskError(target error, want occamy.TaskError) {
	fx.Helper()
	synctest.Wait()
	for _, err := range fx.monitor.Matching(target) {
		var te *occamy.TaskError
		if errors.As(err, &te) && te.ID == want.ID && te.Kind == want.Kind && te.Status == want.Status {
			return
		}
	}
	fx.Errorf("no error recorded that is %q and names %q (%s, %s): %v", target, want.ID, want.Kind, want.Status, fx.monitor.Errors())
}

// stillServes checks that the server takes and completes a request. All slots
// of unprotected tasks are its to use.
func (fx *fixture) stillServes() {
	fx.Helper()
	t := newTask("still-serves")
	t.do = func(context.Context) error { return nil }
	m := fx.request(t)
	select {
	case <-m.Settled():
	case <-time.After(time.Minute):
	}
	if got := m.Settlement().Fate; got != occamytest.Acked {
		fx.Errorf("the server does not take requests any more: %q, slots %s", got, fx.slots())
	}
}

// after lets virtual time pass.
func after(d time.Duration) { <-time.After(d) }

// Config options.

func withPeriod(d time.Duration) func(*occamy.Config) {
	return func(c *occamy.Config) { c.ExpansionPeriod = d }
}

func withoutRefill(c *occamy.Config) { c.RefillDelay = -1 }

func withHeadroom(n int) func(*occamy.Config) {
	return func(c *occamy.Config) { c.Headroom = n }
}

// requestWith is request with further headers.
func (fx *fixture) requestWith(t occamy.Task, more occamy.Headers) *occamytest.Delivery {
	fx.give(t)
	d := occamytest.NewDelivery(occamytest.With(occamytest.RequestHeaders(kind, t.Details().ID), more), nil)
	fx.server.HandleRequest(d)
	return d
}

// latency returns what was recorded of a stage.
func (fx *fixture) latency(stage occamy.Stage) []occamy.Latency {
	synctest.Wait()
	var found []occamy.Latency
	for _, l := range fx.monitor.Latencies() {
		if l.Stage == stage {
			found = append(found, l)
		}
	}
	return found
}
