package embedded_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// A NATS server in this process, and a connection to it without a socket. Other
// processes connect to its URL. What it was given is still there when it is
// started again on the same directory.
func ExampleStart() {
	dir, err := os.MkdirTemp("", "occamy")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	for range 2 {
		ns, err := embedded.Start(embedded.Config{Dir: dir, Port: embedded.AnyPort})
		if err != nil {
			log.Fatal(err)
		}
		b, err := nats.Open(ctx, nats.Config{URL: ns.URL(), Options: ns.InProcess()})
		if err != nil {
			log.Fatal(err)
		}
		queues, err := b.Queues(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("queues:", queues)
		if err := b.Submit(ctx, broker.Request{Kind: "route", ID: "r1"}); err != nil {
			log.Fatal(err)
		}
		if err := b.Close(); err != nil {
			log.Fatal(err)
		}
		if err := ns.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// queues: []
	// queues: [{route 1 0 0}]
}
