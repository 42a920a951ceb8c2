package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

const (
	defaultAddress = "nats://127.0.0.1:4222"

	// connectTimeout bounds how long a verb tries to reach the broker.
	connectTimeout = 3 * time.Second
	// callTimeout bounds a verb that does not wait for a task.
	callTimeout = 15 * time.Second
	// answerTime is how long servers have for saying that they are there.
	answerTime = 400 * time.Millisecond
)

// verb is what a verb that talks to a broker does.
type verb struct {
	// check finds what is wrong with the flags and arguments, and reads what
	// they name, before there is a connection. Nil: nothing.
	check func(args []string) error
	// waits tells that do may take as long as a task does; otherwise its
	// context ends after callTimeout. Nil: it does not.
	waits func() bool
	do    func(ctx context.Context, c *client.Client, args []string) error
}

// clientVerb makes cmd a verb that talks to a broker: it gets the flag --broker
// and a context that an interrupt ends.
func (a *app) clientVerb(cmd *cobra.Command, v verb) *cobra.Command {
	var address string
	cmd.Flags().StringVar(&address, "broker", "", "`ADDRESS` of the broker (default $OCCAMY_BROKER, else "+defaultAddress+")")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if address == "" {
			address = a.getenv("OCCAMY_BROKER")
		}
		if address == "" {
			address = defaultAddress
		}
		if err := checkAddress(address); err != nil {
			return err
		}
		if v.check != nil {
			if err := v.check(args); err != nil {
				return err
			}
		}
		ctx, stop := a.untilInterrupt(cmd.Context())
		defer stop()
		if v.waits == nil || !v.waits() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, callTimeout)
			defer cancel()
		}
		b, err := a.dial(ctx, address, nil)
		if err != nil {
			return err
		}
		defer b.Close()
		return v.do(ctx, client.New(b), args)
	}
	return cmd
}

// dial connects to a broker within connectTimeout.
func (a *app) dial(ctx context.Context, address string, onError func(error)) (broker.Broker, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	b, err := a.connect(ctx, address, onError)
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return nil, errInterrupted
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v", connectTimeout)
	}
	if err != nil {
		return nil, hinted(fmt.Errorf("cannot reach the broker at %s: %w", redact(address), err),
			"is 'occamy serve' running? --broker or OCCAMY_BROKER names another address")
	}
	return b, nil
}

// checkAddress refuses what is no address of a broker that the command knows.
func checkAddress(address string) error {
	const hint = "for instance " + defaultAddress
	if address == "embedded" {
		return usage("the embedded broker is part of 'occamy serve'; other verbs need its address", hint)
	}
	shown := redacted(address)
	for i, one := range strings.Split(address, ",") {
		u, err := url.Parse(one)
		if err != nil || u.Hostname() == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			return usage("unknown broker address "+quote(shown[i]), hint)
		}
	}
	return nil
}

// redact hides what may be secret in an address, or in several with commas
// between.
func redact(address string) string { return strings.Join(redacted(address), ",") }

// redacted returns the addresses without all that stands before a host: a token
// stands where a user would, and a password may have a comma in it.
func redacted(address string) []string {
	all := strings.Split(address, ",")
	for i, one := range all {
		scheme, rest, ok := strings.Cut(one, "://")
		if ok {
			scheme += "://"
		} else {
			scheme, rest = "", one
		}
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			all[i] = scheme + "…" + rest[at:]
			continue
		}
		next, more := "", all[i+1:]
		if len(more) > 0 {
			next = more[0]
		}
		u, err := url.Parse(one)
		whole := err == nil && u.Hostname() != "" && (next == "" || strings.Contains(next, "://"))
		if !whole && strings.Contains(strings.Join(more, ","), "@") {
			all[i] = scheme + "…"
		}
	}
	return all
}
