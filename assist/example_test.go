package assist_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log"
	"math"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/client"
)

// primes counts the primes below Below, a thousand numbers in a unit.
type primes struct {
	Below int `json:"below"`
	count int
}

func newPrimes(_ context.Context, r occamy.Request) (assist.UnitsJob[int, int], error) {
	p := &primes{}
	return p, json.Unmarshal(r.Body, p)
}

func (p *primes) Units(context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for from := 0; from < p.Below; from += 1000 {
			if !yield(from, nil) {
				return
			}
		}
	}
}

func (p *primes) Compute(_ context.Context, from int) (n int, _ error) {
next:
	for i := max(from, 2); i < min(from+1000, p.Below); i++ {
		for d := 2; d*d <= i; d++ {
			if i%d == 0 {
				continue next
			}
		}
		n++
	}
	return n, nil
}

func (p *primes) Collect(_ context.Context, _, n int) error { p.count += n; return nil }

func (p *primes) Result(context.Context) ([]byte, error) { return json.Marshal(p.count) }

func ExampleUnits() {
	broker := memory.New(memory.Options{}) // nats.Open or rabbitmq.Open past one process
	handler := assist.Units(newPrimes, assist.Config{Broker: broker, Store: &checkpoint.Memory{}})
	defer serve(broker, handler)()

	o, err := client.New(broker).SubmitAndWait(context.Background(),
		client.Request{Kind: "example", ID: "primes", Body: []byte(`{"below": 100000}`)}, nil)
	fmt.Printf("%s %v\n", o.Result, err)
	// Output: 9592 <nil>
}

// root looks for the number whose square is two.
type root struct{}

func newRoot(context.Context, occamy.Request) (assist.SearchJob[float64], error) { return root{}, nil }

func (root) Search(ctx context.Context, b *assist.Board[float64]) error {
	x := 1.0
	for ctx.Err() == nil {
		if best, _, ok := b.Best(); ok {
			x = best
		}
		better, err := b.Post((x + 2/x) / 2)
		if err != nil || !better {
			return err // there can be none
		}
	}
	return context.Cause(ctx)
}

func (root) Cost(x float64) (float64, error) { return math.Abs(x*x - 2), nil }

func (root) Result(_ context.Context, best float64) ([]byte, error) {
	return fmt.Appendf(nil, "%.6f", best), nil
}

func ExampleSearch() {
	broker := memory.New(memory.Options{})
	defer serve(broker, assist.Search(newRoot, assist.Config{Broker: broker}))()

	o, err := client.New(broker).SubmitAndWait(context.Background(), client.Request{Kind: "example", ID: "root"}, nil)
	fmt.Printf("%s %v\n", o.Result, err)
	// Output: 1.414214 <nil>
}

// serve starts a server with two slots and returns what stops it.
func serve(broker *memory.Broker, handler occamy.Handler) (stop func()) {
	var mux occamy.Mux
	mux.Add("example", handler)
	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: 2})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), broker) }()
	return func() {
		if err := server.Shutdown(context.Background()); err != nil {
			log.Print(err)
		}
		if err := <-served; err != nil {
			log.Print(err)
		}
		if err := broker.Close(); err != nil {
			log.Print(err)
		}
	}
}
