package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

func longTask(f *fixture) {
	started := make(chan string, 8)
	do := doing(func(ctx context.Context, r occamy.Request) error {
		started <- r.ID
		select {
		case <-time.After(3 * shortLease):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	f.serve("a", 1, do)
	f.serve("b", 1, do)
	f.check("Submit", f.client.Submit(f.within(), f.asking("r1")))
	if o := f.outcomeOf("r1"); o.Status != occamy.Completed || o.Attempt != 1 {
		f.Errorf("the outcome is %+v, want the first attempt to complete", o)
	}
	f.settled("k")
	if n := len(started); n != 1 {
		f.Errorf("the task was started %d times", n)
	}
}

func lostTask(f *fixture) {
	stopped := make(chan error, 1)
	started := make(chan string, 8)
	first := f.serve("a", 1, doing(func(ctx context.Context, r occamy.Request) error {
		started <- r.ID
		<-ctx.Done()
		stopped <- context.Cause(ctx)
		return nil // it claims to have completed
	}))
	f.check("Submit", f.client.Submit(f.within(), f.asking("r1")))
	f.wantStarted(started, "r1")
	f.world.Cut(f.TB, first.conn)
	release := make(chan struct{})
	f.serve("b", 1, doing(func(ctx context.Context, r occamy.Request) error {
		started <- r.ID
		select {
		case <-release:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return occamy.SetResult(ctx, []byte("from b"))
	}))
	select {
	case cause := <-stopped:
		f.wantIs("the cause of the stop", cause, occamy.ErrDeliveryLost)
	case <-f.within().Done():
		f.Fatalf("the task whose delivery was lost was not stopped")
	}
	f.wantStarted(started, "r1")
	f.world.Heal(f.TB, first.conn)
	f.eventually("both servers are seen", func() bool { return len(f.servers()) == 2 })
	if q := f.queue("k"); q.Unacked != 1 {
		f.Errorf("the queue is %+v: the late task settled what b holds", q)
	}
	close(release)
	if o := f.outcomeOf("r1"); o.Server != "b" || o.Attempt != 2 || string(o.Result) != "from b" {
		f.Errorf("the outcome is %+v, want that of b", o)
	}
	f.settled("k")
}

// listener is a task that tells what it is told.
type listener struct {
	task
	heard chan<- string
}

func (l *listener) Control(_ context.Context, h occamy.Headers, body []byte) error {
	l.heard <- string(body)
	return nil
}

func controlTasks(f *fixture) {
	const n = 40
	heard := map[string]chan string{"a": make(chan string, 4*n), "b": make(chan string, 4*n)}
	started := make(chan string, 8)
	for id, to := range heard {
		f.serve(id, 1, occamy.HandlerFunc(func(_ context.Context, r occamy.Request) (occamy.Task, error) {
			return &listener{task{"shared", func(ctx context.Context) error {
				started <- "shared"
				<-ctx.Done()
				return context.Cause(ctx)
			}}, to}, nil
		}))
	}
	f.submit("k", "r1", "r2")
	f.wantStarted(started, "shared")
	f.wantStarted(started, "shared")
	reached := make(map[string]bool)
	f.eventually("both tasks are reached", func() bool {
		if err := f.client.Control(f.within(), "shared", nil, []byte("warm")); err != nil && !errors.Is(err, broker.ErrNobody) {
			f.Fatalf("Control: %v", err)
		}
		for id, to := range heard {
			select {
			case <-to:
				reached[id] = true
			case <-time.After(20 * time.Millisecond):
			}
		}
		return len(reached) == 2
	})
	for i := range n {
		f.check("Control", f.client.Control(f.within(), "shared", nil, fmt.Appendf(nil, "m%d", i)))
	}
	for id, to := range heard {
		for i := 0; i < n; {
			select {
			case body := <-to:
				if body == "warm" {
					continue
				}
				if want := fmt.Sprintf("m%d", i); body != want {
					f.Fatalf("the task on %s heard %q, want %q", id, body, want)
				}
				i++
			case <-f.within().Done():
				f.Fatalf("the task on %s heard %d of %d messages", id, i, n)
			}
		}
	}
}

func optionalTasks(f *fixture) {
	ran := make(chan string, 8)
	handler := func(server string) occamy.HandlerFunc {
		return doing(func(ctx context.Context, r occamy.Request) error {
			info, _ := occamy.InfoFromContext(ctx)
			ran <- fmt.Sprintf("%s on %s, %s, optional: %t", r.ID, server, info.Status, r.Optional)
			return nil
		})
	}
	f.serve("a", 1, handler("a"))
	f.serve("b", 1, handler("b"))
	f.eventually("both servers are seen", func() bool { return len(f.servers()) == 2 })
	f.check("Optional", f.client.Optional(f.within(), request("k", "o1")))
	var got []string
	for range 2 {
		select {
		case line := <-ran:
			got = append(got, line)
		case <-f.within().Done():
			f.Fatalf("only %q ran", got)
		}
	}
	slices.Sort(got)
	if want := []string{"o1 on a, external, optional: true", "o1 on b, external, optional: true"}; !slices.Equal(got, want) {
		f.Errorf("got %q, want %q", got, want)
	}
}

func drainServer(f *fixture) {
	started := make(chan string, 8)
	a := f.serve("a", 1, doing(func(_ context.Context, r occamy.Request) error { started <- r.ID; return nil }))
	f.eventually("a is seen by clients", func() bool { return len(f.servers()) == 1 })
	command := func(c string) {
		f.Helper()
		f.check("Command", f.client.Command(f.within(), occamy.Headers{f.keys.Command: c, f.keys.Server: "a"}))
	}
	command(occamy.CommandDrain)
	f.eventually("a drains", func() bool { return a.Snapshot().Draining })
	f.submit("k", "r1")
	select {
	case id := <-started:
		f.Errorf("%s was started by a server that drains", id)
	case <-time.After(500 * time.Millisecond):
	}
	command(occamy.CommandResume)
	f.wantStarted(started, "r1")
	f.settled("k")
}

func shareBurst(f *fixture) {
	started := make(chan string, 32)
	release := make(chan struct{})
	do := doing(func(ctx context.Context, r occamy.Request) error {
		started <- r.ID
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	a, b := f.serve("a", 3, do), f.serve("b", 2, do)
	ids := names("r", 9)
	f.submit("k", ids...)
	for range 5 {
		select {
		case <-started:
		case <-f.within().Done():
			f.Fatalf("fewer than 5 requests started on 5 slots")
		}
	}
	if na, nb := occupied(a.Snapshot()), occupied(b.Snapshot()); na != 3 || nb != 2 {
		f.Errorf("a runs %d and b %d requests, want 3 and 2", na, nb)
	}
	if f.lacks[Pull] == "" {
		f.eventually("4 requests wait in the queue", func() bool { q := f.queue("k"); return q.Ready == 4 && q.Unacked == 5 })
	}
	close(release)
	f.settled("k")
}

// tapped is a source that shows the intake which it feeds.
type tapped struct {
	occamy.Source
	intake chan occamy.Intake
}

func (s tapped) Consume(ctx context.Context, in occamy.Intake) error {
	s.intake <- in
	return s.Source.Consume(ctx, in)
}

// isShut says whether the server has begun to shut down. Its capacity does not
// tell: a source that pulls may hold a promise for all of it.
func isShut(f *fixture, in occamy.Intake) bool {
	ctx, cancel := context.WithTimeout(f.ctx, 10*time.Millisecond)
	defer cancel()
	n, err := in.Acquire(ctx, 1)
	if n > 0 {
		in.Release(n)
	}
	return errors.Is(err, occamy.ErrServerClosed)
}

func cancelInShutdown(f *fixture) {
	started := make(chan string, 8)
	conn := f.world.Connect(f.TB)
	from := tapped{conn, make(chan occamy.Intake, 1)}
	a := f.serveFrom(conn, from, "a", 2, doing(func(ctx context.Context, r occamy.Request) error {
		started <- r.ID
		<-ctx.Done()
		return context.Cause(ctx)
	}))
	f.eventually("a is seen by clients", func() bool { return len(f.servers()) == 1 })
	f.check("Submit", f.client.Submit(f.within(), f.asking("r1")))
	f.wantStarted(started, "r1")
	in := <-from.intake
	ended := make(chan error, 1)
	go func() { ended <- a.Shutdown(f.ctx) }()
	f.eventually("a shuts down", func() bool { return isShut(f, in) })
	f.check("Submit", f.client.Submit(f.within(), f.asking("r2")))
	select {
	case id := <-started:
		f.Errorf("%s was started by a server that shuts down", id)
	case err := <-ended:
		f.Fatalf("Shutdown returned %v while a protected task ran", err)
	case <-time.After(300 * time.Millisecond):
	}
	f.check("Command", f.client.Command(f.within(), occamy.Headers{f.keys.Command: occamy.CommandCancel, f.keys.TaskID: "r1"}))
	if o := f.outcomeOf("r1"); o.Status != occamy.Cancelled {
		f.Errorf("the outcome is %+v, want it cancelled", o)
	}
	select {
	case err := <-ended:
		f.check("Shutdown", err)
	case <-f.within().Done():
		f.Fatalf("Shutdown does not return although nothing runs")
	}
	f.serve("b", 1, doing(func(context.Context, occamy.Request) error { return nil }))
	if o := f.outcomeOf("r2"); o.Server != "b" {
		f.Errorf("the outcome of r2 is %+v, want that of b", o)
	}
}

func fiftyServers(f *fixture) {
	const handOvers = 50
	started := make(chan string, 1)
	do := doing(func(ctx context.Context, r occamy.Request) error {
		last, err := occamy.LastProgress(ctx)
		if err != nil {
			return err
		}
		if want := strings.Repeat("x", r.Attempt-1); string(last) != want {
			return fmt.Errorf("attempt %d found the progress %q, want %q", r.Attempt, last, want)
		}
		if err := occamy.ReportProgress(ctx, append(last, 'x')); err != nil {
			return err
		}
		if r.Attempt > handOvers {
			return occamy.SetResult(ctx, last)
		}
		started <- r.ID
		<-ctx.Done()
		return context.Cause(ctx)
	})
	f.check("Submit", f.client.Submit(f.within(), f.asking("r1")))
	for i := range handOvers {
		s := f.serve(fmt.Sprintf("s%d", i), 1, do)
		select {
		case <-started:
		case <-f.within().Done():
			f.Fatalf("the request did not start after %d hand-overs; queue: %+v, outcome: %+v", i, f.queue("k"), f.outcomeOf("r1"))
		}
		f.shutdown(s)
		f.check("Close", s.conn.Close())
	}
	f.serve("last", 1, do)
	o := f.outcomeOf("r1")
	if o.Status != occamy.Completed || o.Attempt != handOvers+1 || len(o.Result) != handOvers {
		f.Errorf("after %d hand-overs the outcome is %+v", handOvers, o)
	}
	f.settled("k")
}
