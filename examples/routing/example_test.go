package routing_test

import (
	"context"
	"fmt"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/examples/routing"
)

// A server that takes requests for round trips, and a client that sends one.
func ExampleNewHandler() {
	b := memory.New(memory.Options{})
	var mux occamy.Mux
	mux.Add(routing.Kind, routing.NewHandler(assist.Config{Broker: b}))
	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, b) }()

	o, err := client.New(b).SubmitAndWait(ctx, client.Request{
		Kind:    routing.Kind,
		Headers: occamy.Headers{routing.HeaderTimeLimit: "10s"},
		Body: []byte(`NAME: square
DIMENSION: 4
EDGE_WEIGHT_TYPE: EUC_2D
NODE_COORD_SECTION
1 0 0
2 10 10
3 10 0
4 0 10
`),
	}, nil)
	fmt.Println(string(o.Result), err)

	cancel()
	fmt.Println(server.Shutdown(ctx), <-served)
	// Output:
	// {"name":"square","length":40,"tour":[1,3,2,4]} <nil>
	// <nil> <nil>
}
