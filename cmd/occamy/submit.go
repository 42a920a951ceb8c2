package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

// submitOptions are the flags of submit.
type submitOptions struct {
	payload
	id       string
	wait     bool
	optional bool
	noCheck  bool
	timeout  time.Duration
	deadline string
	priority int
	otlp     string
}

func (a *app) submitVerb() *cobra.Command {
	var o submitOptions
	cmd := &cobra.Command{
		Use:   "submit KIND",
		Short: "Submit a request, and perhaps wait for its result",
		Long: `Submit hands a request to the broker and prints its ID. With --wait it shows
the progress, prints the result, and fails when the request is rejected or
cancelled.

With --json it prints {"id","status"}, and after --wait also "result", or
"reason" of a rejection. A result that is JSON is embedded as it is, other text
as a string; what is not UTF-8 is in "result_base64".

The request is a part of the trace that TRACEPARENT in the environment names (as
W3C has it), or begins one where --otlp, OCCAMY_OTLP or
OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

What 'occamy serve' makes of headers and body:
  route   body: a TSPLIB instance; headers: time-limit (default 10s), target (a
          length that is good enough)
  price   headers: average (arithmetic or geometric), dates, spot, strike, rate,
          volatility, years, paths, seed; no body`,
		Example: `  occamy submit route --file berlin52.tsp --header time-limit=5s --wait
  occamy submit route --file - --deadline 10m < berlin52.tsp
  occamy submit price --header average=geometric --header paths=50000000 --wait`,
		Args: takes("KIND"),
	}
	o.flags(cmd.Flags())
	cmd.Flags().StringVar(&o.id, "id", "", "the request's `ID`; one is made without it. On NATS, of requests with one ID within two minutes only the first counts")
	cmd.Flags().BoolVarP(&o.wait, "wait", "w", false, "wait for the outcome")
	cmd.Flags().BoolVar(&o.optional, "optional", false, "send an optional request: help that is welcome where there is room")
	cmd.Flags().BoolVar(&o.noCheck, "no-check", false, "do not ask servers first whether they know the kind")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "limit each attempt to this `DURATION`")
	cmd.Flags().StringVar(&o.deadline, "deadline", "", "the `MOMENT` after which nobody wants the result: RFC 3339, or a duration from now")
	cmd.Flags().StringVar(&o.otlp, "otlp", "", "tell the OpenTelemetry collector at this `URL` (OTLP over HTTP) of the request")
	cmd.Flags().IntVar(&o.priority, "priority", 0, "an integer; more is more important")
	var r client.Request
	return a.clientVerb(cmd, verb{
		waits: func() bool { return o.wait },
		check: func(args []string) (err error) {
			r, err = o.request(args[0], a.stdin)
			return err
		},
		do: func(ctx context.Context, c session, _ []string) error {
			return a.submitTraced(ctx, c, r, o)
		},
	})
}

// request is what the flags ask for.
func (o submitOptions) request(kind string, stdin io.Reader) (client.Request, error) {
	r := client.Request{Kind: kind, ID: o.id, Timeout: o.timeout, Priority: o.priority}
	if o.optional && o.wait {
		return r, usage("--optional and --wait exclude each other", "an optional request has no outcome")
	}
	if o.timeout < 0 {
		return r, usage("timeout "+o.timeout.String()+" is below zero", "for instance --timeout 10m")
	}
	err := broker.CheckKind(kind)
	if o.id != "" {
		err = errors.Join(err, broker.CheckID(o.id))
	}
	if err != nil {
		return r, err
	}
	if r.Deadline, err = deadline(o.deadline, time.Now()); err != nil {
		return r, err
	}
	r.Headers, r.Body, err = o.read(stdin)
	return r, err
}

// submitTraced submits as a part of a trace, where there is one.
func (a *app) submitTraced(ctx context.Context, s session, r client.Request, o submitOptions) error {
	t, err := a.openTelemetry(ctx, o.otlp, func(line string) { a.note(line, "") })
	if err != nil {
		return err
	}
	defer t.close()
	ctx, end := a.sending(ctx, t, r.Kind)
	err = a.submit(ctx, client.New(s.broker, client.WithInject(t.tracer.Inject)), r, o)
	end(err)
	return err
}

func (a *app) submit(ctx context.Context, c *client.Client, r client.Request, o submitOptions) error {
	if !o.noCheck {
		if err := a.checkKind(ctx, c, r.Kind, o.optional); err != nil {
			return err
		}
	}
	switch {
	case o.optional:
		m, err := c.Message(r)
		if err != nil {
			return err
		}
		if err := c.Optional(ctx, m); err != nil {
			return err
		}
		return a.report(outcomeView{ID: m.ID, Status: "sent"}, "%s", m.ID)
	case !o.wait:
		id, err := c.Submit(ctx, r)
		if err != nil {
			return err
		}
		return a.report(outcomeView{ID: id, Status: "submitted"}, "%s", id)
	default:
		return a.submitAndWait(ctx, c, r)
	}
}

// checkKind refuses a kind that none of the servers knows, and warns when no
// server answers.
func (a *app) checkKind(ctx context.Context, c *client.Client, kind string, optional bool) error {
	knowing, err := c.CheckKind(ctx, kind, answerTime)
	var unknown *client.UnknownKindError
	switch {
	case errors.As(err, &unknown):
		return hinted(fmt.Errorf("unknown kind %s: no server that answers knows it", quote(kind)),
			"known: "+strings.Join(unknown.Known, ", ")+"; --no-check submits it all the same")
	case err != nil:
		return err
	case knowing == 0 && optional:
		a.note("no server answers, so nobody may get the optional request", "is 'occamy serve' running?")
	case knowing == 0:
		a.note("no server answers; the request waits in the queue", "is 'occamy serve' running?")
	}
	return nil
}

func (a *app) submitAndWait(ctx context.Context, c *client.Client, r client.Request) error {
	if r.ID == "" {
		r.ID = client.NewID()
	}
	if a.json {
		return a.endOfWait(c.SubmitAndWait(ctx, r, nil))
	}
	a.note("waiting for request "+quote(r.ID), "")
	view := newProgressView(a.stderr)
	o, err := c.SubmitAndWait(ctx, r, view.show)
	view.end() // before something else is printed
	return a.endOfWait(o, err)
}

// endOfWait prints the outcome of a wait and returns its error, with a hint.
func (a *app) endOfWait(o occamy.Outcome, err error) error {
	if o.Status != "" {
		if printErr := a.printOutcome(o); printErr != nil {
			return printErr
		}
	}
	id := escape(o.ID)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrRejected):
		return hinted(err, "'occamy dead show "+id+"' tells all, 'occamy dead retry "+id+"' submits it again")
	case errors.Is(err, client.ErrEnded):
		return hinted(err, "'occamy result "+id+"' tells how; choose another --id")
	case errors.Is(err, errInterrupted):
		return hinted(fmt.Errorf("interrupted; the request %s goes on", quote(o.ID)), "'occamy result "+id+"' gets its result, 'occamy cancel "+id+"' ends it")
	default:
		return err
	}
}
