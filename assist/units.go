package assist

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"

	"github.com/occamy-go/occamy"
)

// UnitsJob is a job that consists of units, which can be computed in any order
// and on any server. U is a unit and R its result; they travel as JSON, unless
// they are []byte, or marshal themselves (encoding.BinaryMarshaler).
//
// There is one value for the books, on the master, of which Units, Collect and
// Result are called, and one for each slot that computes, of which Compute is
// called, by one goroutine at a time. They share nothing; each is made of the
// same request.
type UnitsJob[U, R any] interface {
	// Units yields the units. For the same request it yields the same ones in the
	// same order, since a later attempt goes by their numbers. It is pulled as
	// units are needed, and may block until there is another, as a stream does;
	// ctx ends when the job does. It runs at the same time as Collect. An error
	// that it yields ends the job.
	Units(ctx context.Context) iter.Seq2[U, error]

	// Compute computes one unit, and returns soon after ctx ended. A unit that
	// fails, or panics, is computed again up to Config.Retries times; then the
	// job fails with its error. It may run more than once, also at the same time.
	Compute(ctx context.Context, unit U) (R, error)

	// Collect takes the result of unit number i, from 0. It is called once for
	// each unit, whatever ran how often, by one goroutine, in the order of the
	// units or as they come (Config.Ordered). A later attempt of the request
	// collects the results that earlier ones recorded anew. While it does not
	// return, little more is computed. An error ends the job.
	Collect(ctx context.Context, i int, result R) error

	// Result returns the result of the request, when all have been collected.
	Result(ctx context.Context) ([]byte, error)
}

// List yields the elements of a slice, for UnitsJob.Units.
func List[U any](units []U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		for _, u := range units {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// Units returns a handler for jobs that consist of units. newJob makes a job of a
// request; its error rejects the request. It is called on the master and on each
// assistant, which get the same kind, ID, body and headers. The handler is to be
// added under the same kind on all servers.
//
// It panics when newJob is nil: it is a mistake of the program.
func Units[U, R any](newJob func(ctx context.Context, r occamy.Request) (UnitsJob[U, R], error), cfg Config) occamy.Handler {
	if newJob == nil {
		panic("assist: Units wants a function that makes jobs")
	}
	return newHandler(&unitsShape{func(ctx context.Context, r occamy.Request) (unitsJob, error) {
		j, err := newJob(ctx, r)
		if err != nil {
			return nil, err
		}
		if j == nil {
			return nil, fmt.Errorf("assist: no job was made of request %q: %w", r.ID, occamy.ErrNilTask)
		}
		return typed[U, R]{j}, nil
	}}, cfg)
}

// unitsJob is a UnitsJob of bytes. What it calls may not panic out of it.
type unitsJob interface {
	units(ctx context.Context) iter.Seq2[[]byte, error]
	compute(ctx context.Context, unit []byte) ([]byte, error)
	collect(ctx context.Context, i uint64, result []byte) error
	result(ctx context.Context) ([]byte, error)
	// as returns the job itself, for its optional abilities.
	as() any
}

type typed[U, R any] struct{ job UnitsJob[U, R] }

func (t typed[U, R]) as() any { return t.job }

func (t typed[U, R]) units(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for u, err := range t.job.Units(ctx) {
			var b []byte
			if err == nil {
				b, err = encode(u)
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

func (t typed[U, R]) compute(ctx context.Context, unit []byte) (result []byte, err error) {
	err = safely("Compute", func() error {
		u, err := decode[U](unit)
		if err != nil {
			return err
		}
		r, err := t.job.Compute(ctx, u)
		if err != nil {
			return err
		}
		result, err = encode(r)
		return err
	})
	return result, err
}

func (t typed[U, R]) collect(ctx context.Context, i uint64, result []byte) error {
	return safely("Collect", func() error {
		r, err := decode[R](result)
		if err != nil {
			return err
		}
		return t.job.Collect(ctx, int(i), r)
	})
}

func (t typed[U, R]) result(ctx context.Context) (result []byte, err error) {
	err = safely("Result", func() error {
		result, err = t.job.Result(ctx)
		return err
	})
	return result, err
}

// safely makes a panic of the user's code an error.
func safely(op string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &occamy.PanicError{Op: op, Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
