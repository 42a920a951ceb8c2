// Package checkpointtest checks implementations of checkpoint.Store, and has a
// Store whose answers get lost.
package checkpointtest

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/occamy-go/occamy/checkpoint"
)

// ErrFault is the error of a Faulty.
var ErrFault = errors.New("checkpointtest: fault")

// Op is a method of a Store.
type Op string

// The methods of a Store.
const (
	Load             Op = "load"
	Save             Op = "save"
	CompareAndSave   Op = "compare and save"
	Delete           Op = "delete"
	CompareAndDelete Op = "compare and delete"
)

// Fault is what becomes of a call.
type Fault int

// The faults. All but None give the error ErrFault.
const (
	None       Fault = iota
	Refused          // the store never hears of it
	LostAnswer       // the store has done it
	Late             // the store does it when Arrive is called
)

// Faulty is a Store that stands before another and has faults.
type Faulty struct {
	checkpoint.Store

	// Fault says what becomes of a call. Nil: no fault.
	Fault func(op Op, key string) Fault

	mu   sync.Mutex
	late []func(ctx context.Context) // guarded by mu
}

// Arrive has the calls that were late reach the store, in their order.
func (f *Faulty) Arrive(ctx context.Context) {
	f.mu.Lock()
	late := f.late
	f.late = nil
	f.mu.Unlock()
	for _, call := range late {
		call(ctx)
	}
}

func (f *Faulty) call(ctx context.Context, op Op, key string, do func(ctx context.Context) error) error {
	fault := None
	if f.Fault != nil {
		fault = f.Fault(op, key)
	}
	switch fault {
	case Refused:
		return ErrFault
	case LostAnswer:
		_ = do(ctx)
		return ErrFault
	case Late:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.late = append(f.late, func(ctx context.Context) { _ = do(ctx) })
		return ErrFault
	}
	return do(ctx)
}

// Load implements checkpoint.Store.
func (f *Faulty) Load(ctx context.Context, key string) (e checkpoint.Entry, err error) {
	err = f.call(ctx, Load, key, func(ctx context.Context) (err error) {
		e, err = f.Store.Load(ctx, key)
		return err
	})
	if err != nil {
		e = checkpoint.Entry{}
	}
	return e, err
}

// Save implements checkpoint.Store.
func (f *Faulty) Save(ctx context.Context, key string, value []byte) (checkpoint.Revision, error) {
	return f.save(ctx, Save, key, value, func(ctx context.Context, value []byte) (checkpoint.Revision, error) {
		return f.Store.Save(ctx, key, value)
	})
}

// CompareAndSave implements checkpoint.Store.
func (f *Faulty) CompareAndSave(ctx context.Context, key string, value []byte, rev checkpoint.Revision) (checkpoint.Revision, error) {
	return f.save(ctx, CompareAndSave, key, value, func(ctx context.Context, value []byte) (checkpoint.Revision, error) {
		return f.Store.CompareAndSave(ctx, key, value, rev)
	})
}

func (f *Faulty) save(ctx context.Context, op Op, key string, value []byte,
	do func(context.Context, []byte) (checkpoint.Revision, error),
) (checkpoint.Revision, error) {
	value = bytes.Clone(value) // it may be late
	var rev checkpoint.Revision
	err := f.call(ctx, op, key, func(ctx context.Context) error {
		got, err := do(ctx, value)
		rev = got
		return err
	})
	if err != nil {
		return 0, err
	}
	return rev, nil
}

// Delete implements checkpoint.Store.
func (f *Faulty) Delete(ctx context.Context, key string) error {
	return f.call(ctx, Delete, key, func(ctx context.Context) error { return f.Store.Delete(ctx, key) })
}

// CompareAndDelete implements checkpoint.CompareAndDeleter, as far as the
// store behind does.
func (f *Faulty) CompareAndDelete(ctx context.Context, key string, rev checkpoint.Revision) error {
	d, ok := f.Store.(checkpoint.CompareAndDeleter)
	if !ok {
		return errors.ErrUnsupported
	}
	return f.call(ctx, CompareAndDelete, key, func(ctx context.Context) error { return d.CompareAndDelete(ctx, key, rev) })
}
