package occamy_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/occamy-go/occamy"
)

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
