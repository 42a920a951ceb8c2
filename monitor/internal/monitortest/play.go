// Package monitortest plays a server for the tests of monitors.
package monitortest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// Kind is the kind of all requests that are played.
const Kind = "work"

// ErrWork is how the task of "fails" fails.
var ErrWork = errors.New("the work failed")

// Play plays all that a server of two slots tells its monitors, in virtual time:
//
//   - "owner" is with its handler for 20 ms, runs for 10 s and has one helper, of
//     kind "help", until that is preempted
//   - "urgent" comes after 3 s, preempts the helper, which returns after 100 ms,
//     and runs for 1 s
//   - "fails" and "asks" return an error at once, which rejects the one and
//     requeues the other
//   - "stuck" is cancelled after 1 s and returns 5 s after that
//   - a request of an unknown kind is rejected
//
// watch is called once the server is made, and during before it ends, while
// "stuck" is stuck; each may be nil.
func Play(t *testing.T, config func(*occamy.Config), watch, during func(*occamy.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := occamy.Config{
			ID: "server", Slots: 2, Kinds: []string{Kind}, RefillDelay: -1,
			Handler: occamy.HandlerFunc(handle),
		}
		config(&cfg)
		s, err := occamy.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if watch != nil {
			watch(s)
		}
		play(s, during)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

func play(s *occamy.Server, during func(*occamy.Server)) {
	request := func(kind, id string) <-chan struct{} {
		d := occamytest.NewDelivery(occamytest.RequestHeaders(kind, id), nil)
		s.HandleRequest(d)
		return d.Settled()
	}
	owner := request(Kind, "owner")
	time.Sleep(3 * time.Second)
	for _, id := range []string{"urgent", "fails", "asks"} {
		<-request(Kind, id)
		synctest.Wait()
	}
	<-request("unknown", "nobody")
	request(Kind, "stuck")
	time.Sleep(time.Second)
	s.HandleControl(occamytest.NewMessage(occamytest.CommandHeaders(occamy.CommandCancel, "stuck"), nil))
	time.Sleep(1500 * time.Millisecond)
	if during != nil {
		during(s)
	}
	<-owner
	time.Sleep(5 * time.Second)
	synctest.Wait()
}

// task is one of those that Play has done.
type task struct {
	details occamy.Details
	do      func(ctx context.Context) error
}

func (t *task) Details() occamy.Details      { return t.details }
func (t *task) Do(ctx context.Context) error { return t.do(ctx) }

// owner is a task that has one helper, once.
type owner struct {
	task
	helped bool // of Expand alone
}

func (o *owner) Expand(context.Context, int) []occamy.Task {
	if o.helped {
		return nil
	}
	o.helped = true
	return []occamy.Task{&task{occamy.Details{ID: "helper", Kind: "help"}, func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(100 * time.Millisecond)
		return context.Cause(ctx)
	}}}
}

func handle(_ context.Context, r occamy.Request) (occamy.Task, error) {
	t := task{do: func(context.Context) error { return nil }}
	switch r.ID {
	case "owner":
		time.Sleep(20 * time.Millisecond)
		t.do = lasts(10 * time.Second)
		return &owner{task: t}, nil
	case "urgent":
		t.do = lasts(time.Second)
	case "fails":
		t.do = func(context.Context) error { return ErrWork }
	case "asks":
		t.do = func(context.Context) error { return occamy.Requeue(ErrWork, 0) }
	case "stuck":
		t.do = func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			return context.Cause(ctx)
		}
	}
	return &t, nil
}

// lasts is a Do that is done after d.
func lasts(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
