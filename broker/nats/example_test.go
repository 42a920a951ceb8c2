package nats_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// shout is a task that gives its request in capitals.
type shout struct{ text string }

func (s shout) Details() occamy.Details { return occamy.Details{} }

func (s shout) Do(ctx context.Context) error {
	return occamy.SetResult(ctx, []byte(strings.ToUpper(s.text)))
}

// A NATS server in this process, a server that takes requests from it, and a
// client that waits for a result.
func Example() {
	dir, err := os.MkdirTemp("", "occamy")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ns, err := embedded.Start(embedded.Config{Dir: dir, Port: embedded.AnyPort})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	defer func() {
		if err := ns.Shutdown(ctx); err != nil {
			log.Print(err)
		}
	}()

	b, err := nats.Open(ctx, nats.Config{URL: ns.URL(), Options: ns.InProcess()})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	var mux occamy.Mux
	mux.AddFunc("shout", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return shout{string(r.Body)}, nil
	})
	s, err := occamy.New(occamy.Config{Handler: &mux, Slots: 2})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, b) }()

	if err := b.Submit(ctx, broker.Request{Kind: "shout", ID: "r1", Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
	events, err := b.Watch(ctx, "r1")
	if err != nil {
		log.Fatal(err)
	}
	for e := range events {
		if e.Outcome != nil {
			fmt.Printf("%s: %s\n", e.Outcome.Status, e.Outcome.Result)
		}
	}
	if err := s.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	if err := <-served; err != nil && !errors.Is(err, occamy.ErrServerClosed) {
		log.Fatal(err)
	}
	// Output: completed: HELLO
}
