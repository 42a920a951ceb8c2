package memory_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/memory"
)

// greet is a task that greets and fails for want of a name.
type greet struct{ name string }

func (g greet) Details() occamy.Details { return occamy.Details{} }

func (g greet) Do(ctx context.Context) error {
	if g.name == "" {
		return errors.New("nobody to greet")
	}
	return occamy.SetResult(ctx, []byte("hello "+g.name))
}

// startServer starts a server for the kind "greet" and returns what ends it.
func startServer(b *memory.Broker) (stop func()) {
	var mux occamy.Mux
	mux.AddFunc("greet", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return greet{string(r.Body)}, nil
	})
	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: 2})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), b) }()
	return func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-served); err != nil {
			log.Fatal(err)
		}
	}
}

// ask submits a request that wants to know its outcome, and waits for it.
func ask(b *memory.Broker, id, body string) occamy.Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := b.Submit(ctx, broker.Request{
		Kind:    "greet",
		ID:      id,
		Headers: occamy.Headers{occamy.DefaultHeaderKeys().Outcome: "true"},
		Body:    []byte(body),
	})
	if err != nil {
		log.Fatal(err)
	}
	events, err := b.Watch(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	for e := range events {
		if e.Outcome != nil {
			return *e.Outcome
		}
	}
	log.Fatal(ctx.Err())
	return occamy.Outcome{}
}

// A server and its client in one process. The same value serves both.
func Example() {
	b := memory.New(memory.Options{})
	defer b.Close()
	stop := startServer(b)
	defer stop()

	o := ask(b, "r1", "world")
	fmt.Printf("%s: %s\n", o.Status, o.Result)
	// Output: completed: hello world
}

// A request that is rejected becomes a dead letter, which tells why and can be
// retried.
func ExampleBroker_DeadLetters() {
	b := memory.New(memory.Options{})
	defer b.Close()
	stop := startServer(b)
	ask(b, "r1", "")
	stop() // the message is settled

	dead, err := b.DeadLetters(context.Background(), 0)
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range dead {
		fmt.Printf("%s of kind %s, attempt %d: %s\n", d.ID, d.Kind, d.Attempts, d.Reason)
	}
	// Output: r1 of kind greet, attempt 1: nobody to greet
}

// A test of what a client does while its connection is lost.
func ExampleBroker_Cut() {
	b := memory.New(memory.Options{})
	defer b.Close()
	client := b.Connect()
	defer client.Close()

	client.Cut()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := client.Submit(ctx, broker.Request{Kind: "greet", ID: "r1"})
	fmt.Println(err)

	client.Heal()
	err = client.Submit(context.Background(), broker.Request{Kind: "greet", ID: "r1"})
	fmt.Println(err)
	// Output:
	// context deadline exceeded
	// <nil>
}
