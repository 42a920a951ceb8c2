package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy/broker"
)

func (a *app) deadVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "List, show and retry the dead letters",
		Long:  "Dead letters are requests that were rejected for good, or delivered too often.",
		RunE:  group,
	}
	cmd.AddCommand(a.deadListVerb(), a.deadShowVerb(), a.deadRetryVerb())
	return cmd
}

func (a *app) deadListVerb() *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List dead letters, oldest first", Args: takes()}
	cmd.Flags().IntVar(&limit, "limit", 0, "list at most this `NUMBER`; 0 lists all")
	check := func([]string) error {
		if limit < 0 {
			return usage(fmt.Sprintf("limit %d is below zero", limit), "0 lists all")
		}
		return nil
	}
	return a.clientVerb(cmd, verb{check: check, do: func(ctx context.Context, c session, _ []string) error {
		letters, err := c.DeadLetters(ctx, limit)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(struct {
				Dead []broker.DeadLetter `json:"dead"`
			}{append([]broker.DeadLetter{}, letters...)})
		}
		if len(letters) == 0 {
			return a.say("no dead letters")
		}
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KEY\tID\tKIND\tATTEMPTS\tTIME\tREASON")
		for _, d := range letters {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", escape(d.Key), escape(d.ID), escape(d.Kind), d.Attempts,
				d.Time.Local().Format(time.DateTime), clip(escape(firstLine(d.Reason)), 80))
		}
		return w.Flush()
	}})
}

func (a *app) deadShowVerb() *cobra.Command {
	var bodyOnly bool
	cmd := &cobra.Command{Use: "show ID", Short: "Show the newest dead letter that has this ID or key", Args: takes("ID")}
	cmd.Flags().BoolVar(&bodyOnly, "body", false, "print its body and nothing else")
	return a.clientVerb(cmd, verb{do: func(ctx context.Context, c session, args []string) error {
		var d broker.DeadLetter
		err := soon(ctx, func() (err error) {
			d, err = c.DeadLetter(ctx, args[0])
			return err
		})
		if err != nil {
			return noLetter(err, args[0])
		}
		switch {
		case bodyOnly:
			return a.printBytes(d.Body)
		case a.json:
			return a.printJSON(d)
		default:
			return a.showLetter(d)
		}
	}})
}

func (a *app) showLetter(d broker.DeadLetter) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "key:\t%s\nid:\t%s\nkind:\t%s\n", escape(d.Key), escape(d.ID), escape(d.Kind))
	fmt.Fprintf(w, "time:\t%s\nattempts:\t%d\n", d.Time.Local().Format(time.RFC3339), d.Attempts)
	for _, key := range slices.Sorted(maps.Keys(d.Headers)) {
		fmt.Fprintf(w, "header:\t%s=%s\n", escape(key), escape(fmt.Sprint(d.Headers[key])))
	}
	encoding := "text"
	if !utf8.Valid(d.Body) {
		encoding = "binary"
	}
	fmt.Fprintf(w, "body:\t%d bytes, %s (--body prints it)\n", len(d.Body), encoding)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "reason:\n%s\n", escapeLines(d.Reason))
	return err
}

func (a *app) deadRetryVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "retry ID", Short: "Submit a dead letter again, as a first attempt", Args: takes("ID")}
	return a.clientVerb(cmd, verb{do: func(ctx context.Context, c session, args []string) error {
		err := soon(ctx, func() error { return c.Retry(ctx, args[0]) })
		if err != nil {
			return noLetter(err, args[0])
		}
		return a.report(sent{ID: args[0], Status: "submitted"}, "submitted %s again", args[0])
	}})
}

// soon repeats f for a moment while it finds nothing, since a dead letter is
// there a moment after the outcome that tells of it.
func soon(ctx context.Context, f func() error) error {
	const tries, pause = 5, 100 * time.Millisecond
	for try := 1; ; try++ {
		err := f()
		if !errors.Is(err, broker.ErrNotFound) || try == tries {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

func noLetter(err error, id string) error {
	if errors.Is(err, broker.ErrNotFound) {
		return hinted(fmt.Errorf("no dead letter %s", quote(id)), "'occamy dead list' shows all")
	}
	return err
}
