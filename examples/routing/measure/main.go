// Command measure shows how good the routing example is: for each instance it
// submits one request to a server of its own and compares the tour with the
// best one known.
//
//	go run ./examples/routing/measure -limit 10s            one slot
//	go run ./examples/routing/measure -limit 10s -slots 2   with an assistant
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/examples/routing"
)

func main() {
	limit := flag.Duration("limit", 10*time.Second, "time limit of each request")
	slots := flag.Int("slots", 1, "slots of the server: one searches, the others assist")
	rounds := flag.Int("rounds", 1, "how often each instance is solved")
	names := flag.String("instances", strings.Join(routing.Names(), ","), "which instances")
	flag.Parse()
	if err := run(os.Stdout, strings.Split(*names, ","), *limit, *slots, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, names []string, limit time.Duration, slots, rounds int) error {
	occamy.ReserveProcs(slots)
	b := memory.New(memory.Options{})
	var mux occamy.Mux
	mux.Add(routing.Kind, routing.NewHandler(assist.Config{Broker: b}))
	server, err := occamy.New(occamy.Config{Handler: &mux, Slots: slots})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, b) }()
	defer func() {
		cancel()
		_ = server.Shutdown(ctx)
		if err := <-served; err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()

	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "instance\tbest known\tlength\tabove\tafter\tassists\t\n")
	for _, name := range names {
		for range rounds {
			if err := solve(ctx, table, client.New(b), name, limit); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return table.Flush()
}

// solve prints one line. After is how long it took until the last report of a
// better tour; reports come every 0.5 s.
func solve(ctx context.Context, out io.Writer, c *client.Client, name string, limit time.Duration) error {
	file, err := routing.File(name)
	if err != nil {
		return err
	}
	in, err := routing.Parse(file)
	if err != nil {
		return err
	}
	var last routing.Progress
	var after time.Duration
	o, err := c.SubmitAndWait(ctx, client.Request{
		Kind: routing.Kind, Body: file, Headers: occamy.Headers{routing.HeaderTimeLimit: limit.String()},
	}, func(b []byte) {
		length := last.Length
		if err := json.Unmarshal(b, &last); err == nil && last.Length != length {
			after = time.Duration(last.ElapsedMS) * time.Millisecond
		}
	})
	if err != nil {
		return err
	}
	var r routing.Result
	if err := json.Unmarshal(o.Result, &r); err != nil {
		return err
	}
	length, err := in.Check(r.Tour)
	if err != nil {
		return err
	}
	best, _ := routing.BestKnown(name)
	above := 100 * float64(length-best) / float64(best)
	_, err = fmt.Fprintf(out, "%s\t%d\t%d\t%.2f %%\t%.1f s\t%d\t\n", name, best, length, above, after.Seconds(), last.Helped)
	return err
}
