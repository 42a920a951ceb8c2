package occamy_test

import (
	"context"
	"fmt"
	"log"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// queue is a source whose broker is a channel.
type queue chan occamy.Message

// Consume takes from the queue as many requests as it was promised room for.
// What it has taken it hands over, so nothing is left to give back at its end.
func (q queue) Consume(ctx context.Context, in occamy.Intake) error {
	for {
		withdrawn := in.Withdrawn() // before Acquire, since Resume renews it
		n, err := in.Acquire(ctx, cap(q))
		if err != nil {
			// No more requests. This is where control messages, which this
			// queue does not have, would still be handed over.
			<-ctx.Done()
			return nil
		}
		for ; n > 0; n-- {
			select {
			case m := <-q:
				in.HandleRequest(m)
			case <-withdrawn: // the server drains or shuts down
			case <-ctx.Done():
			}
			in.Release(1) // after HandleRequest, or for want of a message
		}
	}
}

// A source is what an adapter for a broker implements: it asks for room, takes
// as many requests, and gives each promise back.
func ExampleSource() {
	server := exampleServer(func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return shout{string(r.Body)}, nil
	}, occamy.Monitors{})
	q := make(queue, 3)
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), q) }()

	for _, id := range []string{"r1", "r2", "r3"} {
		// Its headers have the header keys of Info().Keys, here the defaults.
		m := occamytest.NewDelivery(occamytest.RequestHeaders("example", id), []byte("hello"))
		q <- m
		<-m.Settled()
		fmt.Println(id, m.Settlement().Fate)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-served) // Serve ends with Shutdown, or with its context
	// Output:
	// r1 acked
	// r2 acked
	// r3 acked
	// <nil>
}
