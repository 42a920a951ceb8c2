package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/occamytest"
)

// shout is a task that turns its text into capitals.
type shout struct{ text string }

func (shout) Details() occamy.Details { return occamy.Details{} }

func (s shout) Do(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return occamy.SetResult(ctx, []byte(strings.ToUpper(s.text)))
}

// A server and a client that share a broker inside the process.
func Example() {
	b := memory.New(memory.Options{})
	defer b.Close()

	var mux occamy.Mux
	mux.AddFunc("shout", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return shout{string(r.Body)}, nil
	})
	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: 2})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), b) }()

	ctx := context.Background()
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
	if err := errors.Join(server.Shutdown(ctx), <-served); err != nil {
		log.Fatal(err)
	}
	// Output: completed: HELLO
}

// exampleServer makes a server of two slots for one kind. It has no broker:
// the examples hand it their messages themselves.
func exampleServer(h occamy.HandlerFunc, m occamy.Monitors) *occamy.Server {
	server, err := occamy.New(occamy.Config{
		ID: "example", Slots: 2, Handler: h, Kinds: []string{"example"}, Monitors: m,
	})
	if err != nil {
		log.Fatal(err)
	}
	return server
}

func shutdown(server *occamy.Server) {
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// handle gives a server a request and waits until the message is settled.
func handle(server *occamy.Server, headers occamy.Headers) *occamytest.Delivery {
	m := occamytest.NewDelivery(occamytest.With(occamytest.RequestHeaders("example", "r1"), headers), []byte("hello"))
	server.HandleRequest(m)
	<-m.Settled()
	return m
}

func ExampleServer() {
	server := exampleServer(func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return shout{string(r.Body)}, nil
	}, occamy.Monitors{})

	m := handle(server, nil)
	fmt.Printf("%s: %s\n", m.Settlement().Fate, m.Outcomes()[0].Result)

	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("after shutdown:", handle(server, nil).Settlement().Fate)
	// Output:
	// acked: HELLO
	// after shutdown: requeued
}

func ExampleServer_Snapshot() {
	server := exampleServer(noHandler(), occamy.Monitors{})
	snap := server.Snapshot()
	fmt.Println(snap.Server, "has room for", snap.Capacity)
	for _, slot := range snap.Slots {
		fmt.Println(slot.Slot, slot.Status)
	}
	// Output:
	// example has room for 2
	// 0 empty
	// 1 empty
}

// noHandler is a handler that is never called.
func noHandler() occamy.HandlerFunc {
	return func(context.Context, occamy.Request) (occamy.Task, error) { return nil, nil }
}

// A config that is wrong in several ways.
func ExampleNew() {
	_, err := occamy.New(occamy.Config{Slots: -1, Kinds: []string{"route"}})
	fmt.Println(err)
	// Output:
	// occamy: invalid config: Handler is nil; set one, for instance a *Mux
	// Slots is -1; want 1 to 1048576, or 0 for the CPUs
}

func ExampleMux() {
	var mux occamy.Mux
	mux.AddFunc("shout", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return shout{string(r.Body)}, nil
	})
	mux.AddFunc("whisper", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return nil, errors.New("no whispering")
	})
	fmt.Println(mux.Kinds())

	_, err := mux.Handle(context.Background(), occamy.Request{Kind: "sing"})
	fmt.Println(err)
	// Output:
	// [shout whisper]
	// occamy: unknown kind: "sing"
}

// A handler is fast: it reads the request, and leaves the work to the task. A
// request that makes no sense is rejected with the error for its reason.
func ExampleHandlerFunc() {
	server := exampleServer(func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		if r.Headers["language"] != "en" {
			return nil, fmt.Errorf("cannot shout in %q", r.Headers["language"])
		}
		return shout{string(r.Body)}, nil
	}, occamy.Monitors{})
	defer shutdown(server)

	m := handle(server, occamy.Headers{"language": "la"})
	fmt.Println(m.Settlement().Fate, "for good:", m.Settlement().Reason)
	// Output: rejected for good: cannot shout in "la"
}

// ReserveProcs is called once, before the server is made.
func ExampleReserveProcs() {
	previous := occamy.ReserveProcs(2)
	defer runtime.GOMAXPROCS(previous)
	fmt.Println(occamy.CheckProcs(2))
	// Output: <nil>
}

func ExampleCheckProcs() {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	fmt.Println(occamy.CheckProcs(2))
	// Output: occamy: GOMAXPROCS is 2 for 2 slots: requests will wait behind computing tasks; call occamy.ReserveProcs or set GOMAXPROCS to 3
}

// A request asks for a requeue when it cannot be worked on here and now.
func ExampleRequeue() {
	server := exampleServer(func(context.Context, occamy.Request) (occamy.Task, error) {
		return nil, occamy.Requeue(errors.New("the map is not loaded yet"), 30*time.Second)
	}, occamy.Monitors{})
	defer shutdown(server)

	s := handle(server, nil).Settlement()
	fmt.Println(s.Fate, "for", s.Delay)
	// Output: requeued for 30s
}
