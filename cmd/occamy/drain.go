package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy/client"
)

func (a *app) drainVerb() *cobra.Command {
	return a.serverVerb("drain", "Have a server take no more requests; what runs goes on",
		(*client.Client).Drain)
}

func (a *app) resumeVerb() *cobra.Command {
	return a.serverVerb("resume", "Have a drained server take requests again",
		(*client.Client).Resume)
}

// serverVerb is a verb that sends a command to one server, which must be one
// of those that answer.
func (a *app) serverVerb(name, short string, send func(*client.Client, context.Context, string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " SERVER", Short: short, Args: takes("SERVER"),
		Long: short + ".\n\nSERVER is its name, as 'occamy status' shows it. It fails when that server does not\nanswer.",
	}
	return a.clientVerb(cmd, verb{do: func(ctx context.Context, c session, args []string) error {
		servers, err := c.Servers(ctx, answerTime)
		if err != nil {
			return err
		}
		var ids []string
		found := false
		for _, s := range servers {
			ids = append(ids, escape(s.Server))
			found = found || s.Server == args[0]
		}
		if !found {
			hint := "no server answers; is 'occamy serve' running?"
			if len(ids) > 0 {
				hint = "these answer: " + strings.Join(ids, ", ")
			}
			return hinted(fmt.Errorf("no server %s answers", quote(args[0])), hint)
		}
		if err := send(c.Client, ctx, args[0]); err != nil {
			return err
		}
		return a.report(sent{ID: args[0], Status: "sent"}, "told %s to %s", args[0], name)
	}})
}
