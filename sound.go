package occamy

import (
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
func sound(op string, err error) (checked error) {
	if err == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			checked = newPanic(op, v)
		}
	}()
	e := &soundError{err: err, text: err.Error()}
	_ = errors.Is(err, ErrRequeue)
	_ = errors.As(err, new(*PanicError))
	return e
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

func isPanic(err error) bool {
	var p *PanicError
	return errors.As(err, &p)
}

func newPanic(op string, v any) *PanicError {
	return &PanicError{Op: op, Value: v, Stack: debug.Stack()}
}
