package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// failure is an error with what a person may do about it.
type failure struct {
	err  error
	hint string
	code int
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usage returns an error about how the command was called: exit status 2.
func usage(message, hint string) error {
	return &failure{err: errors.New(message), hint: hint, code: exitUsage}
}

// hinted returns err with a hint: exit status 1. An error that has a hint keeps
// it, and nil stays nil.
func hinted(err error, hint string) error {
	var f *failure
	if err == nil || errors.As(err, &f) {
		return err
	}
	return &failure{err: err, hint: hint, code: exitFailed}
}

// Errors for which nothing more is to be printed.
var errUsageShown = errors.New("usage was shown")

// fail prints err as one line and returns the exit status.
func (a *app) fail(err error) int {
	if errors.Is(err, errUsageShown) {
		return exitUsage
	}
	f := &failure{err: err, code: exitFailed}
	if errors.Is(err, broker.ErrInvalid) {
		f.code = exitUsage
	}
	errors.As(err, &f)
	hint := f.hint
	if hint == "" {
		hint = hintFor(err)
	}
	a.tell(slog.LevelError, oneLine(err), hint)
	return f.code
}

// oneLine is the text of an error without line ends. What follows the first
// line of a panic is its stack, which is left out.
func oneLine(err error) string {
	var p *occamy.PanicError
	if errors.As(err, &p) {
		return firstLine(err.Error())
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// note tells people something on stderr, with an optional hint.
func (a *app) note(message, hint string) { a.tell(slog.LevelInfo, message, hint) }

// warn is note for what should be changed.
func (a *app) warn(message, hint string) {
	if a.log == nil {
		message = "warning: " + message
	}
	a.tell(slog.LevelWarn, message, hint)
}

// tell has one line on stderr: a record of the log where there is one.
func (a *app) tell(level slog.Level, message, hint string) {
	message = redactText(strings.TrimPrefix(message, "occamy: "))
	if a.log != nil {
		var more []slog.Attr
		if hint != "" {
			more = append(more, slog.String("hint", hint))
		}
		a.log.LogAttrs(context.Background(), level, escape(message), more...)
		return
	}
	line := "occamy: " + message
	if hint != "" {
		line += " (hint: " + hint + ")"
	}
	fmt.Fprintln(a.stderr, escape(line))
}

// hintFor knows what to do about errors that any verb may meet.
func hintFor(err error) string {
	switch {
	case errors.Is(err, occamy.ErrTooLarge):
		return "raise the broker's largest message, or send where to find the data instead"
	case errors.Is(err, broker.ErrInvalid):
		return "IDs, kinds and headers are short printable text; see 'occamy submit --help'"
	case errors.Is(err, context.DeadlineExceeded):
		return "is the broker up? is 'occamy serve' running?"
	default:
		return ""
	}
}
