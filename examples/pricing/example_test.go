package pricing_test

import (
	"context"
	"fmt"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/examples/pricing"
)

// A server that prices options, and a client that asks for a price.
func ExampleNewHandler() {
	b := memory.New(memory.Options{})
	var mux occamy.Mux
	mux.Add(pricing.Kind, pricing.NewHandler(assist.Config{Broker: b}))
	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, b) }()

	o, err := client.New(b).SubmitAndWait(ctx, client.Request{
		Kind:    pricing.Kind,
		Headers: occamy.Headers{"dates": "1", "strike": "110", "paths": "1000000"},
	}, nil)
	fmt.Println(o.Status, len(o.Result) > 0, err)

	cancel()
	fmt.Println(server.Shutdown(ctx), <-served)
	// Output:
	// completed true <nil>
	// <nil> <nil>
}
