package brokertest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var errUnfit = errors.New("unfit for \"this\" work")

func taskEnds(f *fixture) {
	const delay = 300 * time.Millisecond
	ends := map[string]func(ctx context.Context, attempt int) error{
		"nil":    func(context.Context, int) error { return nil },
		"result": func(ctx context.Context, _ int) error { return occamy.SetResult(ctx, []byte("42")) },
		"error":  func(context.Context, int) error { return errUnfit },
		"panic":  func(context.Context, int) error { panic(errUnfit) },
		"goexit": func(context.Context, int) error { runtime.Goexit(); return nil },
		"timeout": func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return context.Cause(ctx)
		},
		"late nil": func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return nil // it completed in the moment when its time was up
		},
		"requeue": func(_ context.Context, attempt int) error {
			if attempt == 1 {
				return occamy.Requeue(errUnfit, 0)
			}
			return nil
		},
		"delayed": func(_ context.Context, attempt int) error {
			if attempt == 1 {
				return occamy.Requeue(nil, delay)
			}
			return nil
		},
		"wrapped": func(_ context.Context, attempt int) error {
			if attempt < 3 {
				return fmt.Errorf("not now: %w", occamy.ErrRequeue)
			}
			return nil
		},
	}
	f.serve("a", 2, doing(func(ctx context.Context, r occamy.Request) error { return ends[r.ID](ctx, r.Attempt) }))
	for _, c := range []struct {
		id      string
		headers []string
		status  occamy.OutcomeStatus
		result  string
		reason  string // in it
		attempt int
	}{
		{id: "nil", status: occamy.Completed, attempt: 1},
		{id: "result", status: occamy.Completed, result: "42", attempt: 1},
		{id: "error", status: occamy.Rejected, reason: errUnfit.Error(), attempt: 1},
		{id: "panic", status: occamy.Rejected, reason: "taskEnds", attempt: 1}, // the stack
		{id: "goexit", status: occamy.Rejected, reason: "Goexit", attempt: 1},
		{id: "timeout", headers: []string{f.keys.Timeout, "50ms"}, status: occamy.Rejected, reason: occamy.ErrTimeout.Error(), attempt: 1},
		{id: "late nil", headers: []string{f.keys.Timeout, "50ms"}, status: occamy.Completed, attempt: 1},
		{id: "requeue", status: occamy.Completed, attempt: 2},
		{id: "delayed", status: occamy.Completed, attempt: 2},
		{id: "wrapped", status: occamy.Completed, attempt: 3},
	} {
		sent, dead := time.Now(), f.queue("k").Dead
		f.check("Submit", f.client.Submit(f.within(), f.asking(c.id, c.headers...)))
		o := f.outcomeOf(c.id)
		if o.ID != c.id || o.Kind != "k" || o.Server != "a" || o.Status != c.status || string(o.Result) != c.result ||
			!strings.Contains(o.Reason, c.reason) || o.Attempt != c.attempt {
			f.Errorf("%s: the outcome is %+v, want %+v", c.id, o, c)
		}
		f.settled("k")
		if c.id == "delayed" && time.Since(sent) < delay {
			f.Errorf("the delayed requeue came back after %v, want at least %v", time.Since(sent), delay)
		}
		if c.status != occamy.Rejected {
			if q := f.queue("k"); q.Dead != dead {
				f.Errorf("%s: the queue is %+v, want no further dead letter", c.id, q)
			}
			continue
		}
		d := f.deadLetter(c.id)
		if !strings.Contains(d.Reason, c.reason) || string(d.Body) != "body of "+c.id || d.Attempts != 1 {
			f.Errorf("%s: the dead letter is %+v", c.id, d)
		}
		f.wantHeaders(d.Headers, occamy.Headers{"X-Who": "me"})
	}
}

func resultTooLarge(f *fixture) {
	f.serve("a", 1, doing(func(ctx context.Context, r occamy.Request) error {
		return occamy.SetResult(ctx, make([]byte, 80<<10))
	}))
	f.check("Submit", f.client.Submit(f.within(), f.asking("r1")))
	if o := f.outcomeOf("r1"); o.Status != occamy.Rejected || o.Reason == "" || o.Result != nil {
		f.Errorf("the outcome is %s %q with %d bytes, want a rejection with its reason", o.Status, o.Reason, len(o.Result))
	}
	f.deadLetter("r1")
	f.settled("k")
}

func cancelRequests(f *fixture) {
	started := make(chan string, 8)
	s := f.serve("a", 1, doing(func(ctx context.Context, r occamy.Request) error {
		started <- r.ID
		<-ctx.Done()
		return errors.New("whatever")
	}))
	f.eventually("a is seen by clients", func() bool { return len(f.servers()) == 1 })
	for _, id := range []string{"r1", "r2"} {
		f.check("Submit", f.client.Submit(f.within(), f.asking(id)))
	}
	f.wantStarted(started, "r1")
	cancel := func(id string) {
		f.Helper()
		f.check("Command", f.client.Command(f.within(), occamy.Headers{f.keys.Command: occamy.CommandCancel, f.keys.TaskID: id}))
	}
	cancel("r2") // still in the queue
	cancel("r1")
	for _, id := range []string{"r1", "r2"} {
		if o := f.outcomeOf(id); o.Status != occamy.Cancelled {
			f.Errorf("the outcome of %s is %+v, want it cancelled", id, o)
		}
	}
	f.settled("k")
	if q := f.queue("k"); q.Dead != 0 {
		f.Errorf("a cancelled request is a dead letter: %+v", q)
	}
	select {
	case id := <-started:
		f.Errorf("%s was run although it was cancelled before", id)
	default:
	}
	if n := occupied(s.Snapshot()); n != 0 {
		f.Errorf("%d slots are taken at the end", n)
	}
}

func stoppedTasks(f *fixture) {
	manners := map[string]func(ctx context.Context) error{
		"error":  func(ctx context.Context) error { return errUnfit },
		"cause":  func(ctx context.Context) error { return context.Cause(ctx) },
		"panic":  func(ctx context.Context) error { panic(errUnfit) },
		"goexit": func(ctx context.Context) error { runtime.Goexit(); return nil },
	}
	started := make(chan string, 8)
	first := f.serve("a", len(manners)+1, doing(func(ctx context.Context, r occamy.Request) error {
		started <- r.ID
		<-ctx.Done()
		if stop := manners[r.ID]; stop != nil {
			return stop(ctx)
		}
		return occamy.SetResult(ctx, []byte("in time"))
	}))
	ids := []string{"cause", "done", "error", "goexit", "panic"}
	for _, id := range ids {
		f.check("Submit", f.client.Submit(f.within(), f.asking(id)))
		f.wantStarted(started, id)
	}
	f.shutdown(first)
	f.serve("b", 2, doing(func(ctx context.Context, r occamy.Request) error { return nil }))
	for _, id := range ids {
		o := f.outcomeOf(id)
		want := occamy.Outcome{ID: id, Kind: "k", Status: occamy.Completed, Attempt: 2, Server: "b"}
		if id == "done" { // nil counts, even from a task that was stopped
			want.Attempt, want.Server, want.Result = 1, "a", []byte("in time")
		}
		if o.Status != want.Status || o.Attempt != want.Attempt || o.Server != want.Server || string(o.Result) != string(want.Result) {
			f.Errorf("the outcome of %s is %+v, want %+v", id, o, want)
		}
	}
	f.settled("k")
	if q := f.queue("k"); q.Dead != 0 {
		f.Errorf("a stopped task's request is a dead letter: %+v", q)
	}
}

// A spy looks on as a server settles.
type spy struct {
	occamy.Source
	look func(m occamy.Message)
}

type spyIntake struct {
	occamy.Intake
	look func(m occamy.Message)
}

type spyMessage struct {
	occamy.Message
	occamy.Attempter
	occamy.OutcomePublisher
	occamy.ProgressKeeper
	look func(m occamy.Message)
}

func (s spy) Consume(ctx context.Context, in occamy.Intake) error {
	return s.Source.Consume(ctx, spyIntake{in, s.look})
}

func (in spyIntake) HandleRequest(m occamy.Message) {
	in.Intake.HandleRequest(spyMessage{m, m.(occamy.Attempter), m.(occamy.OutcomePublisher), m.(occamy.ProgressKeeper), in.look})
}

func (m spyMessage) Ack(ctx context.Context) error {
	m.look(m)
	return m.Message.Ack(ctx)
}

func (m spyMessage) Reject(ctx context.Context, requeue bool) error {
	m.look(m)
	return m.Message.Reject(ctx, requeue)
}

func outcomeFirst(f *fixture) {
	seen := make(chan error, 8)
	conn := f.world.Connect(f.TB)
	f.serveFrom(conn, spy{conn, func(m occamy.Message) {
		_, err := f.client.Result(f.ctx, f.id(m))
		if q := f.queue("k"); err == nil && q.Unacked != 1 {
			err = fmt.Errorf("the queue is %+v, want the message unacked", q)
		}
		seen <- err
	}}, "a", 1, doing(func(ctx context.Context, r occamy.Request) error {
		if r.ID == "bad" {
			return errUnfit
		}
		return occamy.SetResult(ctx, []byte("42"))
	}))
	for _, r := range []broker.Request{f.asking("good"), f.asking("bad"), request("k", "unasked")} {
		f.check("Submit", f.client.Submit(f.within(), r))
		select {
		case err := <-seen:
			if err != nil {
				f.Errorf("as the message of %s was settled: %v", r.ID, err)
			}
		case <-f.within().Done():
			f.Fatalf("%s was not settled", r.ID)
		}
		f.settled("k")
	}
}

func bareRequest(f *fixture) {
	f.serve("a", 1, doing(func(context.Context, occamy.Request) error { return nil }))
	f.submit("k", "r1")
	f.eventually("r1 has been settled", func() bool {
		q := f.queue("k")
		return q.Ready == 0 && q.Unacked == 0
	})
	_, err := f.client.Result(f.within(), "r1")
	f.wantIs("Result of a request that did not ask for it", err, broker.ErrNotFound)
}
