package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
)

// message is a request or control message without a broker.
type message struct {
	headers occamy.Headers
	tally   *tally
}

func newMessage(t *tally, kind, id string) *message {
	keys := occamy.DefaultHeaderKeys()
	h := occamy.Headers{keys.Kind: kind}
	if id != "" {
		h[keys.RequestID] = id
	}
	return &message{headers: h, tally: t}
}

func (m *message) Headers() occamy.Headers { return m.headers }
func (m *message) Body() []byte            { return nil }

func (m *message) Ack(context.Context) error {
	m.tally.acks.Add(1)
	m.tally.step()
	return nil
}

func (m *message) Reject(_ context.Context, requeue bool) error {
	if requeue {
		m.tally.requeues.Add(1)
	} else {
		m.tally.rejects.Add(1)
	}
	m.tally.step()
	return nil
}

// tally counts settlements, and says when as many have come as were awaited.
type tally struct {
	acks, rejects, requeues atomic.Int64
	left                    atomic.Int64
	done                    chan struct{}
}

// newTally awaits n settlements.
func newTally(n int) *tally {
	t := &tally{done: make(chan struct{})}
	t.left.Store(int64(n))
	return t
}

func (t *tally) step() {
	if t.left.Add(-1) == 0 {
		close(t.done)
	}
}

// allAcked is an error when a message was not acked: then the row has not
// measured what it says.
func (t *tally) allAcked() error {
	if r, q := t.rejects.Load(), t.requeues.Load(); r > 0 || q > 0 {
		return fmt.Errorf("%d messages rejected, %d requeued; want all acked", r, q)
	}
	return nil
}

// await waits for a channel, though not for ever.
func await(c <-chan struct{}, what string) error {
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	select {
	case <-c:
		return nil
	case <-limit.C:
		return fmt.Errorf("%s did not come within a minute", what)
	}
}

// eventually waits until a condition holds.
func eventually(what string, holds func() bool) error {
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not come about within a minute", what)
		}
	}
	return nil
}

// task does what it is told and nothing else.
type task func(ctx context.Context) error

func (t task) Details() occamy.Details      { return occamy.Details{} }
func (t task) Do(ctx context.Context) error { return t(ctx) }

// owner is a task that can use any number of helpers.
type owner struct {
	task
	helper func() occamy.Task
}

func (o owner) Expand(_ context.Context, n int) []occamy.Task {
	helpers := make([]occamy.Task, n)
	for i := range helpers {
		helpers[i] = o.helper()
	}
	return helpers
}

// untilStopped waits for the end of its context.
func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// server is a server whose tasks are chosen by kind.
type server struct {
	*occamy.Server
	slots  int
	owners *tally
}

func newServer(cfg occamy.Config, kinds map[string]func(occamy.Request) occamy.Task) (*server, error) {
	var mux occamy.Mux
	for kind, newTask := range kinds {
		mux.AddFunc(kind, func(_ context.Context, r occamy.Request) (occamy.Task, error) { return newTask(r), nil })
	}
	cfg.Handler = &mux
	s, err := occamy.New(cfg)
	if err != nil {
		return nil, err
	}
	return &server{Server: s, slots: cfg.Slots, owners: newTally(-1)}, nil
}

// stop ends all tasks at once.
func (s *server) stop() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return s.Shutdown(ctx)
}

// occupy has the server run n protected tasks of a kind, and returns once all
// run. Their tasks must run until they are stopped.
func (s *server) occupy(kind string, n int) error {
	for i := range n {
		s.HandleRequest(newMessage(s.owners, kind, fmt.Sprintf("%s-%d", kind, i)))
	}
	return eventually(fmt.Sprintf("%d tasks of kind %s", n, kind), func() bool { return s.count(occamy.Protected) >= n })
}

// full waits until helpers hold every slot that the requests leave.
func (s *server) full() error {
	return eventually("a full server", func() bool { return s.count(occamy.Empty) == 0 })
}

func (s *server) count(status occamy.Status) int {
	n := 0
	for _, slot := range s.Snapshot().Slots {
		if slot.Status == status {
			n++
		}
	}
	return n
}
