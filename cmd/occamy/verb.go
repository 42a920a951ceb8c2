package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

const (
	// connectTimeout bounds how long a verb tries to reach the broker.
	connectTimeout = 3 * time.Second
	// callTimeout bounds a verb that does not wait for a task.
	callTimeout = 15 * time.Second
	// answerTime is how long servers have for saying that they are there.
	answerTime = 400 * time.Millisecond
)

// session is a verb's connection to a broker.
type session struct {
	*client.Client
	broker broker.Broker
}

// verb is what a verb that talks to a broker does.
type verb struct {
	// check finds what is wrong with the flags and arguments, and reads what
	// they name, before there is a connection. Nil: nothing.
	check func(args []string) error
	// waits tells that do may take as long as a task does; otherwise its
	// context ends after callTimeout. Nil: it does not.
	waits func() bool
	do    func(ctx context.Context, s session, args []string) error
}

// clientVerb makes cmd a verb that talks to a broker: it gets the flags of the
// connection and a context that an interrupt ends.
func (a *app) clientVerb(cmd *cobra.Command, v verb) *cobra.Command {
	var flags settings
	flags.flags(cmd.Flags(), "`ADDRESS` of the broker (default "+defaultAddress+")")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := a.settle(flags, settings{})
		if err != nil {
			return err
		}
		if s.Broker == "" {
			s.Broker = defaultAddress
		}
		c, err := a.connection(s)
		if err != nil {
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
		b, err := a.dial(ctx, c)
		if err != nil {
			return err
		}
		defer b.Close()
		return v.do(ctx, session{client.New(b), b}, args)
	}
	return cmd
}
