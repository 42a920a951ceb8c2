package brokertest

import (
	"context"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// serverTests are the rules about settling (R7, R8, R18) with a server, its
// tasks, and real messages.
var serverTests = []test{
	{name: "R7 each end of a task settles its message so", run: taskEnds},
	{name: "R7 a result that the broker refuses rejects the request", needs: SizeLimit, run: resultTooLarge, opts: Options{MaxPayload: 64 << 10}},
	{name: "R7 a cancelled request is acked, in a slot and in the queue", run: cancelRequests},
	{name: "R7 a task that the server stops is requeued, whatever it does", run: stoppedTasks},
	{name: "R7 the outcome is there before the message is settled", run: outcomeFirst},
	{name: "R7 a bare request leaves no outcome", run: bareRequest},
	{name: "R8 a task that runs longer than the ack deadline runs once", needs: Lease, run: longTask, opts: Options{AckWait: shortLease}},
	{name: "R8 a task whose delivery is lost is stopped and settles nothing", needs: Interruption, run: lostTask, opts: Options{AckWait: shortLease}},
	{name: "R9 control messages reach the task in order, on each server", run: controlTasks},
	{name: "R11 an optional request runs on every server with room", run: optionalTasks},
	{name: "R11 a flood of optional requests takes no more memory than was allowed", run: floodOptional},
	{name: "R12 drain and resume reach their server", run: drainServer},
	{name: "R5 two servers share a burst, each within its slots", run: shareBurst},
	{name: "R18 a server that shuts down takes no request, and still passes a cancel on", run: cancelInShutdown},
	{name: "R18 fifty servers hand a request over and it goes on from its progress", run: fiftyServers, opts: Options{MaxDeliver: 4}},
}

// task is an occamy.Task made of a function.
type task struct {
	id string
	do func(ctx context.Context) error
}

func (t *task) Details() occamy.Details      { return occamy.Details{ID: t.id} }
func (t *task) Do(ctx context.Context) error { return t.do(ctx) }

// doing is a handler for tasks that all do the same.
func doing(do func(ctx context.Context, r occamy.Request) error) occamy.HandlerFunc {
	return func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return &task{r.ID, func(ctx context.Context) error { return do(ctx, r) }}, nil
	}
}

// running is a server that serves.
type running struct {
	*occamy.Server
	conn   broker.Broker
	served chan error
	cancel context.CancelFunc
}

// serve starts a server for the kind "k" on a connection of its own.
func (f *fixture) serve(id string, slots int, h occamy.Handler) *running {
	f.Helper()
	conn := f.world.Connect(f.TB)
	return f.serveFrom(conn, conn, id, slots, h)
}

func (f *fixture) serveFrom(conn broker.Broker, from occamy.Source, id string, slots int, h occamy.Handler) *running {
	f.Helper()
	s, err := occamy.New(occamy.Config{ID: id, Slots: slots, Kinds: []string{"k"}, Handler: h, Headers: f.keys})
	f.check("New", err)
	ctx, cancel := context.WithCancel(f.ctx)
	r := &running{Server: s, conn: conn, served: make(chan error, 1), cancel: cancel}
	go func() { r.served <- s.Serve(ctx, from) }()
	f.Cleanup(func() {
		cancel()
		ended, end := context.WithCancel(context.Background())
		end()
		if err := s.Shutdown(ended); err != nil {
			f.Errorf("Shutdown of %s: %v", id, err)
		}
	})
	return r
}

// asking is a request that wants to know its outcome.
func (f *fixture) asking(id string, headers ...string) broker.Request {
	r := request("k", id)
	r.Headers = occamy.Headers{f.keys.Outcome: "true", "X-Who": "me"}
	for i := 0; i < len(headers); i += 2 {
		r.Headers[headers[i]] = headers[i+1]
	}
	return r
}

// outcomeOf waits for the end of a request.
func (f *fixture) outcomeOf(id string) occamy.Outcome {
	f.Helper()
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	events, err := f.client.Watch(ctx, id)
	f.check("Watch", err)
	return *f.lastEvent(events).Outcome
}

func occupied(s occamy.Snapshot) (n int) {
	for _, slot := range s.Slots {
		if slot.Status != occamy.Empty {
			n++
		}
	}
	return n
}

func (f *fixture) wantStarted(started <-chan string, id string) {
	f.Helper()
	select {
	case got := <-started:
		if got != id {
			f.Fatalf("%s started, want %s", got, id)
		}
	case <-f.within().Done():
		f.Fatalf("%s did not start", id)
	}
}

// shutdown ends a server at once, whatever runs.
func (f *fixture) shutdown(s *running) {
	f.Helper()
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	f.check("Shutdown", s.Shutdown(ended))
	s.cancel()
	select {
	case err := <-s.served:
		f.check("Serve", err)
	case <-f.within().Done():
		f.Fatalf("Serve did not return after Shutdown")
	}
}
