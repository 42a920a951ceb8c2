package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

func (a *app) controlVerb() *cobra.Command {
	var p payload
	cmd := &cobra.Command{
		Use:   "control ID",
		Short: "Send a message to the running tasks that bear an ID",
		Long: `Control sends a message to the running tasks that bear an ID, and fails when no
server took it within a few seconds.`,
		Args: takes("ID"),
	}
	p.flags(cmd.Flags())
	var headers occamy.Headers
	var body []byte
	return a.clientVerb(cmd, verb{
		check: func(args []string) (err error) {
			if err := broker.CheckID(args[0]); err != nil {
				return err
			}
			headers, body, err = p.read(a.stdin)
			return err
		},
		do: func(ctx context.Context, c session, args []string) error {
			return a.control(ctx, c.Client, args[0], headers, body)
		},
	})
}

func (a *app) control(ctx context.Context, c *client.Client, id string, headers occamy.Headers, body []byte) error {
	err := c.Control(ctx, id, headers, body)
	if errors.Is(err, broker.ErrNobody) {
		return hinted(fmt.Errorf("nobody took the message: no running task bears the ID %s and takes messages", quote(id)), "'occamy status --tasks' shows what runs")
	}
	if err != nil {
		return err
	}
	return a.report(sent{ID: id, Status: "delivered"}, "delivered to %s", id)
}

// sent is what the verbs that send something print with --json.
type sent struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}
