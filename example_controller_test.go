package occamy_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// lookout is a task that waits for news.
type lookout struct {
	news chan string // has room for one
}

func (lookout) Details() occamy.Details { return occamy.Details{ID: "lookout"} }

func (l lookout) Do(ctx context.Context) error {
	select {
	case what := <-l.news:
		return occamy.SetResult(ctx, []byte(what))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Control runs beside Do, and ends with it: it waits for nothing without
// looking at ctx.
func (l lookout) Control(ctx context.Context, _ occamy.Headers, body []byte) error {
	if len(body) == 0 {
		return errors.New("nothing found is no news")
	}
	select {
	case l.news <- string(body):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A control message reaches the running tasks that bear its ID.
func ExampleController() {
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return lookout{make(chan string, 1)}, nil
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
