package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/occamy-go/occamy/broker/nats/embedded"
)

func main() {
	if text := os.Getenv(serverVar); text != "" {
		exit(child(text))
	}
	var p plan
	flag.StringVar(&p.broker, "broker", "embedded", "embedded, or the URL of a NATS or RabbitMQ: nats://…, amqp://…")
	flag.IntVar(&p.servers, "servers", 3, "how many servers, each a process")
	flag.IntVar(&p.slots, "slots", 8, "slots of each server")
	flag.IntVar(&p.rounds, "rounds", 5, "how often each scenario is played")
	flag.DurationVar(&p.each, "unit", 20*time.Millisecond, "how long a unit takes")
	flag.DurationVar(&p.hold, "hold", time.Second, "how long a request would work on all slots")
	needs := flag.String("needs", "4,8,12", "slots that the requests need; in B their sum must fit")
	asJSON := flag.Bool("json", false, "print one JSON object")
	flag.Parse()
	for s := range strings.SplitSeq(*needs, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			usage("-needs: %q is no number of slots", s)
		}
		p.needs = append(p.needs, n)
	}
	if err := p.check(); err != nil {
		usage("%v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, p, os.Stdout, *asJSON))
}

func usage(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "scenarios: "+format+"\n", args...)
	os.Exit(2)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(text string) error {
	var o serverOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("%s: %w", serverVar, err)
	}
	return serve(o, os.Stdin, os.Stdout)
}

// check says whether the plan can come true.
func (p plan) check() error {
	sum := 0
	for _, n := range p.needs {
		sum += n
	}
	switch {
	case p.servers < 1 || p.slots < 1 || p.rounds < 1:
		return errors.New("-servers, -slots and -rounds must be at least 1")
	case p.each < time.Millisecond || p.hold < p.each:
		return errors.New("-unit must be at least 1ms, and -hold no less than it")
	case sum > p.all():
		return fmt.Errorf("the requests of scenario B need %d slots together, and %d servers of %d have %d", sum, p.servers, p.slots, p.all())
	}
	return nil
}

// run plays both scenarios and prints how they went. All ends within 5 minutes.
func run(ctx context.Context, p plan, out io.Writer, asJSON bool) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r := newReport(p)
	if p.broker == "embedded" {
		dir, err := os.MkdirTemp("", "occamy-scenarios-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		e, err := embedded.Start(embedded.Config{Dir: dir, Port: embedded.AnyPort})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Shutdown(context.Background())) }()
		p.broker = e.URL()
	}
	// Names of its own, where the broker is somebody else's.
	p.prefix = "scenarios-" + strconv.Itoa(os.Getpid())
	err = p.with(ctx, func(fl *fleet) error {
		for round := range p.rounds {
			a, err := fl.scenarioA(ctx, round)
			if err != nil {
				return fmt.Errorf("scenario A: %w", err)
			}
			b, err := fl.scenarioB(ctx, round)
			if err != nil {
				return fmt.Errorf("scenario B: %w", err)
			}
			r.add(a, b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(r.sum())
	}
	return r.sum().print(out)
}
