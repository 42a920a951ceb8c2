package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) cancelVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "End the requests and tasks that bear an ID",
		Long: `Cancel tells every server that is up to end what bears the ID: running,
waiting, or set aside. A client that waits for it learns of that.

A request that still waits in a queue is dropped only if one of these servers
takes it within the time for which it remembers (cancel_memory in its config
file, 1 min by default); a client that waits learns of it then, not before. One
that is taken later, or by a server that was started since, runs.

It fails when no server answers that could have heard it.`,
		Args: takes("ID"),
	}
	return a.clientVerb(cmd, verb{do: func(ctx context.Context, c session, args []string) error {
		if err := c.Cancel(ctx, args[0]); err != nil {
			return err
		}
		servers, err := c.Servers(ctx, answerTime)
		if err != nil {
			return err
		}
		if len(servers) == 0 {
			return hinted(fmt.Errorf("nobody may have heard the cancel of %s: no server answers", quote(args[0])), "is 'occamy serve' running? try again when it is")
		}
		return a.report(sent{ID: args[0], Status: "sent"}, "told all servers to cancel %s", args[0])
	}})
}
