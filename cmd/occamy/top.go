package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/occamy-go/occamy/broker"
	live "github.com/occamy-go/occamy/dashboard/fleet"
)

// topEvery is the least time between two looks at the fleet, so that a busy one
// neither floods a slow line nor flickers.
const topEvery = 100 * time.Millisecond

func (a *app) topVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the fleet live, in a terminal",
		Long: `Top shows all servers at a broker as their slots change, the tasks in them and
what happened last. It needs a terminal; scripts use 'occamy status --json'.

Signs of slots and tasks:
  .  empty            P  protected (a request)
  i  internal (helps a request)
  e  external (help that was asked of all servers)
  s  stopping         !  stuck (it was told to stop and has not)

A row of TASKS is a request, or help whose request is not seen. HELP is how many
slots assist it, and on how many servers. A bar appears when a task reports
how much is done.

Keys:
  up, down, j, k   select a line            pgup, pgdn, home, end   far
  tab              servers or tasks         c   cancel the selected task
  d, r             drain, resume the selected server
  ?                help                     q   leave
What a key is to end or to change is asked for first.`,
		Args: takes(),
	}
	return a.clientVerb(cmd, verb{
		waits: func() bool { return true },
		check: func([]string) error { return a.checkTerminal() },
		do:    a.top,
	})
}

// checkTerminal says whether top can draw.
func (a *app) checkTerminal() error {
	const instead = "'occamy status' shows the fleet once, and 'occamy status --json' is for scripts"
	in, isFile := a.stdin.(*os.File)
	switch {
	case a.json:
		return usage("top draws, it prints no JSON", instead)
	case !isFile || !term.IsTerminal(int(in.Fd())) || !isTerminal(a.stdout):
		return usage("top needs a terminal, to draw on and for its keys", instead)
	case a.getenv("TERM") == "dumb":
		return usage("top cannot draw on this terminal: TERM is dumb", instead)
	}
	return nil
}

func (a *app) top(ctx context.Context, c session, _ []string) error {
	view, err := live.Of(c.broker)
	if err != nil {
		return hinted(err, "'occamy status' shows the fleet once")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		if err := view.Run(ctx); err != nil {
			cancel(err)
		}
	}()
	err = runTop(ctx, newTopModel(ctx, view, c.Client, reach(c.broker)), a.stdin, a.stdout)
	cause := context.Cause(ctx)
	cancel(nil)
	<-seen
	switch {
	case errors.Is(cause, errInterrupted):
		return nil // as q
	case cause != nil:
		return cause
	}
	return err
}

// runTop draws until a key or ctx ends it. The terminal is then as it was.
func runTop(ctx context.Context, m tea.Model, in io.Reader, out io.Writer, more ...tea.ProgramOption) error {
	options := append([]tea.ProgramOption{
		tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler(),
	}, more...)
	_, err := tea.NewProgram(m, options...).Run()
	if err != nil && ctx.Err() != nil {
		return nil // the cause of ctx tells
	}
	return err
}

// reach returns what tells whether a broker is reached now, nil for one that
// cannot say.
func reach(b broker.Broker) func(context.Context) error {
	if p, ok := b.(broker.Pinger); ok {
		return p.Ping
	}
	return nil
}
