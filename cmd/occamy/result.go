package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

func (a *app) resultVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "result ID",
		Short: "Print what a finished request left",
		Long: `Result prints the result of a request that completed, and fails when there is
none: because the request has not ended, or was rejected or cancelled.

With --json it prints what 'submit --wait --json' does.`,
		Args: takes("ID"),
	}
	return a.clientVerb(cmd, verb{do: func(ctx context.Context, c session, args []string) error {
		o, err := c.Result(ctx, args[0])
		if errors.Is(err, broker.ErrNotFound) {
			return hinted(fmt.Errorf("no outcome of a request %s", quote(args[0])), "it may not have ended: 'occamy status --tasks' shows what runs")
		}
		if err != nil {
			return err
		}
		return a.endOfWait(o, client.OutcomeError(o))
	}})
}
