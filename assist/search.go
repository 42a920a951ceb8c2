package assist

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/occamy-go/occamy"
)

// SearchJob is an open-ended search for the solution of least cost, in which all
// that take part share the best one that is known. S is a solution; it travels as
// JSON, unless it is a []byte or marshals itself (encoding.BinaryMarshaler).
//
// There is one value for the books, on the master, of which Cost and Result are
// called, and one for each slot that searches, of which Search and Cost are called.
// They share nothing; each is made of the same request.
type SearchJob[S any] interface {
	// Search looks for better solutions and posts them, until ctx ends, after
	// which it returns soon, or until there can be none, when it returns nil. On
	// the master that ends the job, as does an error; on an assistant, that
	// assistant's work. Which it is, it need not care.
	Search(ctx context.Context, b *Board[S]) error

	// Cost measures a solution; less is better. It believes nothing: solutions
	// come from other servers, and an error drops one. It is quick, and may be
	// called while Search runs.
	Cost(s S) (float64, error)

	// Result returns the result of the request.
	Result(ctx context.Context, best S) ([]byte, error)
}

// Limits say when a search ends by itself.
type Limits struct {
	// Time is how long to search, all attempts of the request together. Zero: no
	// limit.
	Time time.Duration
	// Target is a cost that is good enough. Nil: none is.
	Target *float64
}

// Limited is a SearchJob that has limits. It is asked on the master, at the
// beginning and after each call of Control, if the job has that method. Without
// limits a search ends when Search returns on the master, or the request's own
// time limit has passed, which rejects it.
type Limited interface {
	Limits() Limits
}

// Stateful is a SearchJob with state that Control changes and a later attempt
// needs. It is asked on the value for the books.
type Stateful interface {
	// State returns the state, which is kept with the best solution.
	State() []byte
	// Restore takes the state of an earlier attempt, before Limits and Search are
	// called. It believes nothing. After an error the attempt goes on as if there
	// were no state.
	Restore(state []byte) error
}

// ProgressReporter is a job that says for itself what occamy.ReportProgress is
// to tell of p. Nil: nothing. It is called on the value for the books.
type ProgressReporter interface {
	Progress(p Progress) []byte
}

// Search returns a handler for searches. newJob makes a job of a request; its
// error rejects the request. It is called on the master and on each assistant,
// which get the same kind, ID, body and headers. The handler is to be added under
// the same kind on all servers.
//
// It panics when newJob is nil: it is a mistake of the program.
func Search[S any](newJob func(ctx context.Context, r occamy.Request) (SearchJob[S], error), cfg Config) occamy.Handler {
	if newJob == nil {
		panic("assist: Search wants a function that makes jobs")
	}
	return newHandler(&searchShape{func(ctx context.Context, r occamy.Request) (searchJob, error) {
		j, err := newJob(ctx, r)
		if err != nil {
			return nil, err
		}
		if j == nil {
			return nil, fmt.Errorf("assist: no job was made of request %q: %w", r.ID, occamy.ErrNilTask)
		}
		return searched[S]{j}, nil
	}}, cfg)
}

// Board is where those who search share the best solution. Its methods may be
// called by any goroutine.
type Board[S any] struct {
	job  SearchJob[S]
	core *board
}

// Post offers a solution. It says whether it is better than the best that is
// known here; others hear of it then. s is the caller's again afterwards. It does
// not block. One that Cost finds wrong, or that cannot be encoded, is an error.
func (b *Board[S]) Post(s S) (better bool, err error) {
	cost, err := measure(b.job, s)
	if err != nil {
		return false, err
	}
	if !b.core.beats(cost) {
		return false, nil
	}
	body, err := encode(s)
	if err != nil {
		return false, err
	}
	return b.core.post(body, cost), nil
}

// Best returns the best solution that is known here, as a copy of the caller's
// own, and false while there is none.
func (b *Board[S]) Best() (s S, cost float64, ok bool) {
	body, cost, ok := b.core.get()
	if !ok {
		return s, 0, false
	}
	s, err := decode[S](body)
	return s, cost, err == nil
}

// News returns a channel that holds an element after a better solution has come
// from elsewhere; for one receiver.
func (b *Board[S]) News() <-chan struct{} { return b.core.news }

func measure[S any](job SearchJob[S], s S) (cost float64, err error) {
	err = safely("Cost", func() error {
		cost, err = job.Cost(s)
		return err
	})
	if err == nil && math.IsNaN(cost) {
		err = fmt.Errorf("assist: the cost of a solution is not a number")
	}
	return cost, err
}

// searchJob is a SearchJob of bytes.
type searchJob interface {
	search(ctx context.Context, b *board) error
	cost(solution []byte) (float64, error)
	result(ctx context.Context, best []byte) ([]byte, error)
	as() any
}

type searched[S any] struct{ job SearchJob[S] }

func (s searched[S]) as() any { return s.job }

func (s searched[S]) search(ctx context.Context, b *board) error {
	return safely("Search", func() error { return s.job.Search(ctx, &Board[S]{s.job, b}) })
}

func (s searched[S]) cost(solution []byte) (float64, error) {
	v, err := decode[S](solution)
	if err != nil {
		return 0, err
	}
	return measure(s.job, v)
}

func (s searched[S]) result(ctx context.Context, best []byte) (result []byte, err error) {
	err = safely("Result", func() error {
		v, err := decode[S](best)
		if err != nil {
			return err
		}
		result, err = s.job.Result(ctx, v)
		return err
	})
	return result, err
}
