package occamy

import (
	"context"
	"errors"
	"runtime/debug"
)

// soundError is an error that code of the user gave. An error is code too: its
// text is asked for once, and a panic in its other methods says no.
type soundError struct {
	err  error
	text string
}

// sound returns nil for nil, and a PanicError for an error that cannot even be
// read, as that of a nil pointer.
func sound(op string, err error) error {
	switch err {
	// What a task that was stopped says as a rule.
	case nil, ErrPreempted, ErrOwnerEnded, ErrShutdown, ErrCancelled, context.Canceled: //nolint:errorlint // a wrapped one is looked at below, at a price
		return err
	}
	return soundly(op, err)
}

func soundly(op string, err error) (checked error) {
	defer func() {
		if v := recover(); v != nil {
			checked = newPanic(op, v)
		}
	}()
	return &soundError{err: err, text: err.Error()}
}

func (e *soundError) Error() string { return e.text }

// Is and As stand for Unwrap, through which errors.Is and errors.As would call
// methods of the error unguarded.
func (e *soundError) Is(target error) (is bool) {
	defer func() {
		if recover() != nil {
			is = false
		}
	}()
	return errors.Is(e.err, target)
}

func (e *soundError) As(target any) (as bool) {
	defer func() {
		if recover() != nil {
			as = false
		}
	}()
	return errors.As(e.err, target)
}

// isPanic reports whether err is a panic that the server caught.
func isPanic(err error) bool {
	_, is := err.(*PanicError) //nolint:errorlint // one that wraps a panic came from code of the user
	return is
}

func newPanic(op string, v any) *PanicError {
	return &PanicError{Op: op, Value: v, Stack: debug.Stack()}
}
