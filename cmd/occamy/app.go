package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/occamy-go/occamy/broker"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// app is one run of the command: what it reads from, writes to, and connects
// with. Tests make their own.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	signals        <-chan os.Signal // interrupts; nil for none
	connect        func(ctx context.Context, c connection) (broker.Broker, error)

	json bool         // the flag --json
	log  *slog.Logger // has what is told on stderr, each line; nil for plain lines
}

// errInterrupted is the cause with which an interrupt ends a verb's context.
var errInterrupted = errors.New("interrupted")

// run does what args say, without the program's name, and returns the exit
// status. An error is one line on stderr.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // of nil cobra makes those of the process
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	return a.fail(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "occamy",
		Short: "Run heavy computations on slots that never stand idle",
		Long: `Occamy runs computationally intensive requests that come from a message
broker: each starts at once, and slots that would stand idle help those that
run already.

  occamy serve --data-dir D                        in one terminal
  occamy submit route --file berlin52.tsp --wait   in another
  occamy submit price --header dates=1 --wait      in another

Exit status: 0 done, 1 failed, 2 wrong usage.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err.Error(), "occamy "+verbPath(cmd)+"--help")
	})
	root.SetHelpCommand(helpVerb())
	root.SetUsageFunc(usageText)
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	root.AddCommand(
		a.demoVerb(), a.serveVerb(),
		a.submitVerb(), a.resultVerb(),
		a.controlVerb(), a.cancelVerb(),
		a.drainVerb(), a.resumeVerb(),
		a.deadVerb(), a.statusVerb(), a.topVerb(),
		a.versionVerb(),
	)
	return root
}

// group runs a command that is only a group of verbs.
func group(cmd *cobra.Command, args []string) error {
	cmd.SuggestionsMinimumDistance = 2
	if len(args) == 0 {
		cmd.SetOut(cmd.ErrOrStderr())
		if err := cmd.Help(); err != nil {
			return err
		}
		return errUsageShown
	}
	hint := "occamy " + verbPath(cmd) + "--help lists the verbs"
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		hint = "did you mean " + strings.Join(like, " or ") + "?"
	}
	return usage("unknown verb "+quoteArg(args[0]), hint)
}

// helpVerb shows what --help does.
func helpVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "Help about a verb",
		RunE: func(cmd *cobra.Command, args []string) error {
			of, left, err := cmd.Root().Find(args)
			if err != nil || len(left) > 0 {
				return group(of, args[len(args)-max(len(left), 1):])
			}
			return of.Help()
		},
	}
}

// verbPath is the path of a command below the root with a space after it.
func verbPath(cmd *cobra.Command) string {
	_, path, below := strings.Cut(cmd.CommandPath(), " ")
	if !below {
		return ""
	}
	return path + " "
}

// takes has a verb take exactly the named arguments.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := "usage: occamy " + verbPath(cmd) + strings.Join(names, " ")
		if len(args) < len(names) {
			return usage("missing "+names[len(args)], hint)
		}
		if len(args) > len(names) {
			return usage("unexpected argument "+quoteArg(args[len(names)]), hint)
		}
		for i, arg := range args {
			if arg == "" {
				return usage(names[i]+" is empty", hint)
			}
		}
		return nil
	}
}

// untilInterrupt returns a context that ends with errInterrupted when an
// interrupt comes, until stop is called, which may be called again.
func (a *app) untilInterrupt(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-a.signals:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}
