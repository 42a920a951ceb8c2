// Command price prices an option on servers in one process, which share a broker
// in memory, and says how far the price is from the exact one where that is known.
//
//	go run ./examples/pricing/price -servers 2 average=geometric paths=50000000
//
// The arguments are the headers that package pricing documents.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/examples/pricing"
)

func main() {
	servers := flag.Int("servers", 2, "how many servers")
	slots := flag.Int("slots", 1, "slots of each server")
	flag.Parse()
	if err := run(os.Stdout, *servers, *slots, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "price:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, servers, slots int, args []string) (err error) {
	headers := occamy.Headers{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not KEY=VALUE, such as paths=1000000", arg)
		}
		headers[key] = value
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	occamy.ReserveProcs(servers * slots)
	b := memory.New(memory.Options{})
	for i := range servers {
		stop, serveErr := serve(ctx, b.Connect(), fmt.Sprint("server", i), slots)
		if serveErr != nil {
			return serveErr
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	start := time.Now()
	o, err := client.New(b).SubmitAndWait(ctx, client.Request{Kind: pricing.Kind, Headers: headers}, func(progress []byte) {
		fmt.Fprintf(os.Stderr, "%s\n", progress)
	})
	if err != nil {
		return err
	}
	var r pricing.Result
	if err := json.Unmarshal(o.Result, &r); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d paths in %.2f s: %.6f ± %.6f\n", r.Paths, time.Since(start).Seconds(), r.Price, r.StandardError)
	if r.ClosedForm != nil {
		fmt.Fprintf(out, "the exact price is %.6f, %.2f standard errors away\n", *r.ClosedForm, (r.Price-*r.ClosedForm)/r.StandardError)
	}
	return nil
}

// serve starts a server. stop shuts it down.
func serve(ctx context.Context, b *memory.Broker, id string, slots int) (stop func() error, _ error) {
	var mux occamy.Mux
	mux.Add(pricing.Kind, pricing.NewHandler(assist.Config{Broker: b}))
	s, err := occamy.New(occamy.Config{ID: id, Handler: &mux, Slots: slots})
	if err != nil {
		return nil, err
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, b) }()
	return func() error { return errors.Join(s.Shutdown(ctx), <-served) }, nil
}
