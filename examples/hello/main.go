// Command hello is the smallest useful Occamy program: a server with one kind
// of request, and a client that asks for one.
package main

import (
	"context"
	"fmt"
	"log"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
)

// sum adds the numbers from 1 to n, slowly.
type sum struct{ n int }

func (sum) Details() occamy.Details { return occamy.Details{} }

func (s sum) Do(ctx context.Context) error {
	total := 0
	for i := 1; i <= s.n; i++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
			total += i
		}
	}
	return occamy.SetResult(ctx, []byte(strconv.Itoa(total)))
}

func main() {
	var mux occamy.Mux
	mux.AddFunc("sum", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		n, err := strconv.Atoi(string(r.Body))
		return sum{n}, err
	})
	occamy.ReserveProcs(0)
	server, err := occamy.New(occamy.Config{Handler: &mux})
	if err != nil {
		log.Fatal(err)
	}
	broker := memory.New(memory.Options{}) // nats.Open or rabbitmq.Open past one process
	go func() {
		if err := server.Serve(context.Background(), broker); err != nil {
			log.Fatal(err)
		}
	}()

	outcome, err := client.New(broker).SubmitAndWait(context.Background(),
		client.Request{Kind: "sum", Body: []byte("100")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n", outcome.Status, outcome.Result)
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
}
