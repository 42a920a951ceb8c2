package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// search looks for something in parts of a large space. While slots are spare,
// helpers look into other parts; a control message says where to look no more.
type search struct {
	found chan string

	mu    sync.Mutex
	parts []string // not given to a helper yet; guarded by mu
}

func (s *search) Details() occamy.Details { return occamy.Details{ID: "search"} }

func (s *search) Do(ctx context.Context) error {
	select {
	case what := <-s.found:
		return occamy.SetResult(ctx, []byte(what))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Expand gives each helper a part of its own.
func (s *search) Expand(_ context.Context, n int) []occamy.Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	var helpers []occamy.Task
	for len(helpers) < n && len(s.parts) > 0 {
		helpers = append(helpers, searchPart{s.parts[0], s.found})
		s.parts = s.parts[1:]
	}
	return helpers
}

// Control takes what somebody else has found.
func (s *search) Control(_ context.Context, _ occamy.Headers, body []byte) error {
	if len(body) == 0 {
		return errors.New("nothing found is no news")
	}
	s.found <- string(body)
	return nil
}

// searchPart looks into one part until it finds something or is stopped.
type searchPart struct {
	part  string
	found chan<- string
}

func (searchPart) Details() occamy.Details { return occamy.Details{} }

func (p searchPart) Do(ctx context.Context) error {
	select {
	case p.found <- "a needle in the " + p.part:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A task that uses spare slots: the helper in the second slot finds what its
// owner waits for.
func ExampleExpander() {
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return &search{found: make(chan string), parts: []string{"hay", "straw"}}, nil
	}, occamy.Monitors{})
	defer shutdown(server)

	m := handle(server, nil)
	fmt.Printf("%s: %s\n", m.Settlement().Fate, m.Outcomes()[0].Result)
	// Output: acked: a needle in the hay
}

// A control message reaches the running tasks that bear its ID.
func ExampleController() {
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return &search{found: make(chan string)}, nil
	}, occamy.Monitors{})
	defer shutdown(server)
	w := placed(make(chan string, 1))
	defer server.WatchTasks(w)()

	m := occamytest.NewDelivery(occamytest.RequestHeaders("example", "r1"), nil)
	server.HandleRequest(m)
	server.HandleControl(occamytest.NewMessage(occamytest.ControlHeaders(<-w), []byte("a pin")))
	<-m.Settled()
	fmt.Printf("%s: %s\n", m.Settlement().Fate, m.Outcomes()[0].Result)
	// Output: acked: a pin
}

// placed is a watcher that tells of the tasks that take control messages.
type placed chan string

func (p placed) TaskPlaced(id string) { p <- id }
func (p placed) TaskGone(string)      {}

// do is a function as a Task.
type do func(ctx context.Context) error

func (do) Details() occamy.Details        { return occamy.Details{} }
func (d do) Do(ctx context.Context) error { return d(ctx) }

// A task says what happened; the server decides how the message is settled.
func ExampleTask() {
	for _, what := range []error{
		nil,
		errors.New("there is no way"),
		occamy.ErrRequeue,
	} {
		server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
			return do(func(context.Context) error { return what }), nil
		}, occamy.Monitors{})
		fmt.Println(what, "-", handle(server, nil).Settlement().Fate)
		shutdown(server)
	}
	// Output:
	// <nil> - acked
	// there is no way - rejected
	// occamy: requeue - requeued
}

func ExampleSetResult() {
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return do(func(ctx context.Context) error {
			return occamy.SetResult(ctx, []byte("42"))
		}), nil
	}, occamy.Monitors{})
	defer shutdown(server)

	o := handle(server, nil).Outcomes()[0]
	fmt.Printf("%s %s: %s\n", o.ID, o.Status, o.Result)
	// Output: r1 completed: 42
}

// Progress that is reported outlives the attempt: the next one, perhaps on
// another server, goes on from there.
func ExampleReportProgress() {
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return do(func(ctx context.Context) error {
			last, err := occamy.LastProgress(ctx)
			if err != nil {
				return err
			}
			if last == nil {
				_ = occamy.ReportProgress(ctx, []byte(`{"fraction": 0.5}`))
				return occamy.ErrRequeue // as if the server were shut down half-way
			}
			fmt.Printf("goes on from %s\n", last)
			return nil
		}), nil
	}, occamy.Monitors{})
	defer shutdown(server)

	first := handle(server, nil)
	second := first.Redeliver()
	server.HandleRequest(second)
	<-second.Settled()
	fmt.Println(first.Settlement().Fate, "then", second.Settlement().Fate)
	// Output:
	// goes on from {"fraction": 0.5}
	// requeued then acked
}

func ExampleInfoFromContext() {
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return do(func(ctx context.Context) error {
			i, _ := occamy.InfoFromContext(ctx)
			fmt.Printf("%s runs %s in slot %d, attempt %d\n", i.Server, i.ID, i.Slot, i.Attempt)
			return nil
		}), nil
	}, occamy.Monitors{})
	defer shutdown(server)
	handle(server, nil)
	// Output: example runs r1 in slot 0, attempt 1
}

// errorPrinter is an ErrorMonitor.
type errorPrinter chan struct{}

func (p errorPrinter) RecordError(err error) {
	var task *occamy.TaskError
	if errors.As(err, &task) {
		fmt.Printf("%s of kind %s: %v\n", task.ID, task.Kind, task.Err)
	}
	close(p)
}

func ExampleMonitors() {
	printed := make(errorPrinter)
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return do(func(context.Context) error { return errors.New("there is no way") }), nil
	}, occamy.Monitors{Error: printed})
	defer shutdown(server)
	handle(server, nil)
	<-printed
	// Output: r1 of kind example: there is no way
}

// letter is the smallest Message: what a broker of one's own would deliver. By
// further methods it would say what else it can do; see Message.
type letter struct {
	text    string
	settled chan string
}

func (l letter) Headers() occamy.Headers {
	return occamy.Headers{occamy.DefaultHeaderKeys().Kind: "example"}
}
func (l letter) Body() []byte { return []byte(l.text) }

func (l letter) Ack(context.Context) error {
	l.settled <- "acked"
	return nil
}

func (l letter) Reject(_ context.Context, requeue bool) error {
	l.settled <- fmt.Sprintf("rejected, to be delivered again: %t", requeue)
	return nil
}

func ExampleMessage() {
	server := exampleServer(func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return do(func(context.Context) error {
			if len(r.Body) == 0 {
				return errors.New("an empty letter")
			}
			return nil
		}), nil
	}, occamy.Monitors{})
	defer shutdown(server)

	for _, text := range []string{"hello", ""} {
		l := letter{text, make(chan string, 1)}
		server.HandleRequest(l)
		fmt.Println(<-l.settled)
	}
	// Output:
	// acked
	// rejected, to be delivered again: false
}
