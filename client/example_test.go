package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
)

// shout is a task that gives its text back in capitals.
type shout struct{ text string }

func (shout) Details() occamy.Details { return occamy.Details{} }

func (s shout) Do(ctx context.Context) error {
	if s.text == "" {
		return errors.New("nothing to shout")
	}
	if err := occamy.ReportProgress(ctx, []byte(`{"fraction":0.5}`)); err != nil {
		return err
	}
	return occamy.SetResult(ctx, []byte(strings.ToUpper(s.text)))
}

// chat is a task that ends when somebody says goodbye to it.
type chat struct{ heard chan string }

func (chat) Details() occamy.Details { return occamy.Details{} }

func (c chat) Control(_ context.Context, _ occamy.Headers, body []byte) error {
	c.heard <- string(body)
	return nil
}

func (c chat) Do(ctx context.Context) error {
	select {
	case text := <-c.heard:
		return occamy.SetResult(ctx, []byte("heard "+text))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// serveExamples serves the kinds above through a broker in memory, until stop
// is called. It returns once the server is there.
func serveExamples() (b *memory.Broker, stop func()) {
	var mux occamy.Mux
	mux.AddFunc("shout", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		return shout{string(r.Body)}, nil
	})
	mux.AddFunc("chat", func(context.Context, occamy.Request) (occamy.Task, error) {
		return chat{make(chan string, 1)}, nil
	})
	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: 2})
	if err != nil {
		log.Fatal(err)
	}
	b = memory.New(memory.Options{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), b) }()
	for {
		if servers, err := b.Servers(context.Background(), 10*time.Millisecond); err != nil || len(servers) > 0 {
			break
		}
	}
	return b, func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-served, b.Close()); err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	b, stop := serveExamples()
	defer stop()

	c := client.New(b)
	outcome, err := c.SubmitAndWait(context.Background(), client.Request{Kind: "shout", Body: []byte("hello")}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %s\n", outcome.Status, outcome.Result)
	// Output: completed: HELLO
}

// Submit and Wait may be called by different programs; all they share is the ID.
func ExampleClient_Wait() {
	b, stop := serveExamples()
	defer stop()

	ctx := context.Background()
	id, err := client.New(b).Submit(ctx, client.Request{Kind: "shout", ID: "r1", Body: []byte("later")})
	if err != nil {
		fmt.Println(err)
		return
	}
	outcome, err := client.New(b).Wait(ctx, id, nil)
	fmt.Printf("%s %v\n", outcome.Result, err)
	// Output: LATER <nil>
}

func ExampleRejectedError() {
	b, stop := serveExamples()
	defer stop()

	_, err := client.New(b).SubmitAndWait(context.Background(), client.Request{Kind: "shout", ID: "r1"}, nil)
	var rejected *client.RejectedError
	if errors.As(err, &rejected) {
		fmt.Println(rejected.Reason)
	}
	// Output: nothing to shout
}

func ExampleClient_Control() {
	b, stop := serveExamples()
	defer stop()

	ctx := context.Background()
	c := client.New(b)
	id, err := c.Submit(ctx, client.Request{Kind: "chat"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Control(ctx, id, nil, []byte("goodbye")); err != nil {
		fmt.Println(err)
		return
	}
	outcome, err := c.Wait(ctx, id, nil)
	fmt.Printf("%s %v\n", outcome.Result, err)
	// Output: heard goodbye <nil>
}

func ExampleClient_Cancel() {
	b, stop := serveExamples()
	defer stop()

	ctx := context.Background()
	c := client.New(b)
	id, err := c.Submit(ctx, client.Request{Kind: "chat", ID: "r1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Cancel(ctx, id); err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Wait(ctx, id, nil)
	fmt.Println(err, errors.Is(err, occamy.ErrCancelled))
	// Output: request "r1" was cancelled true
}
