package dir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/occamy-go/occamy/checkpoint"
)

// Options say how a Store is to work; the zero value is useful. The stores of a
// directory use the same.
type Options struct {
	// MaxAge is how long a value is kept after its last save, by the clock of
	// the file system. Zero: checkpoint.DefaultMaxAge; negative: for ever.
	MaxAge time.Duration

	// MaxValue is the largest value, in bytes. Zero:
	// checkpoint.DefaultMaxValue; negative: no limit.
	MaxValue int
}

// ErrDamaged is wrapped by the error for a file that is not as it was written.
// Whoever removes it loses the value, and with it which revisions were used.
var ErrDamaged = errors.New("checkpoint/dir: file is damaged; remove it to begin anew")

// Store is a checkpoint.Store in a directory. A write that has begun is not
// interrupted by the end of its context, which ends the waiting for other
// writers.
type Store struct {
	root  string
	opts  Options
	turns [stripes]chan struct{} // one element each: who may ask for the lock, in this Store
	sweep sweeper
}

// The directory has
const (
	valuesDir = "values" // a file for each key, named by its hash
	tempDir   = "temp"   // what is being written
	locksDir  = "locks"
	floorFile = "floor"
)

// Open returns the store in a directory, which it makes where it is missing,
// for this user alone. There is nothing to close.
func Open(path string, o Options) (*Store, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint/dir: %w", err)
	}
	if o.MaxAge == 0 {
		o.MaxAge = checkpoint.DefaultMaxAge
	}
	if o.MaxValue == 0 {
		o.MaxValue = checkpoint.DefaultMaxValue
	}
	s := &Store{root: root, opts: o}
	for i := range s.turns {
		s.turns[i] = make(chan struct{}, 1)
		s.turns[i] <- struct{}{}
	}
	for _, d := range []string{valuesDir, tempDir, locksDir} {
		if err := os.MkdirAll(s.path(d), 0o700); err != nil {
			return nil, fmt.Errorf("checkpoint/dir: %w", err)
		}
	}
	if err := errors.Join(syncDir(root), s.removeLeftovers()); err != nil {
		return nil, fmt.Errorf("checkpoint/dir: open %s: %w", root, err)
	}
	return s, nil
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.root}, parts...)...)
}

// nameOf is the file of a key. A hash is a name on every file system, and has
// no dots, slashes or cases.
func nameOf(key string) string {
	h := sha256.Sum256([]byte(key))
	return hex.EncodeToString(h[:])
}

// Load implements checkpoint.Store.
func (s *Store) Load(ctx context.Context, key string) (checkpoint.Entry, error) {
	if err := begin(ctx, key); err != nil {
		return checkpoint.Entry{}, err
	}
	is, err := s.read(nameOf(key))
	switch {
	case err != nil:
		return checkpoint.Entry{}, wrap("load", key, err)
	case !is.there || is.expired:
		return checkpoint.Entry{}, wrap("load", key, checkpoint.ErrNotFound)
	case is.key != key:
		return checkpoint.Entry{}, wrap("load", key, ErrDamaged)
	}
	return checkpoint.Entry{Value: is.value, Revision: is.revision}, nil
}

// Save implements checkpoint.Store.
func (s *Store) Save(ctx context.Context, key string, value []byte) (checkpoint.Revision, error) {
	return s.save(ctx, key, value, nil)
}

// CompareAndSave implements checkpoint.Store.
func (s *Store) CompareAndSave(ctx context.Context, key string, value []byte, rev checkpoint.Revision) (checkpoint.Revision, error) {
	return s.save(ctx, key, value, &rev)
}

func (s *Store) save(ctx context.Context, key string, value []byte, want *checkpoint.Revision) (rev checkpoint.Revision, err error) {
	if s.opts.MaxValue >= 0 {
		if err := checkpoint.CheckSize(len(value), s.opts.MaxValue); err != nil {
			return 0, err
		}
	}
	err = s.change(ctx, key, want, func(name string, is file) error {
		before := is.revision
		if !is.there {
			if before, err = s.floor(); err != nil {
				return err
			}
		}
		rev = before + 1
		return s.write(name, s.path(valuesDir), encode(key, value, rev))
	})
	s.sweepSome(ctx) // above all when the disk is full
	if err != nil {
		return 0, wrap("save", key, err)
	}
	return rev, nil
}

// Delete implements checkpoint.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	return wrap("delete", key, s.change(ctx, key, nil, func(name string, is file) error { return s.remove(ctx, name, is) }))
}

// CompareAndDelete implements checkpoint.CompareAndDeleter.
func (s *Store) CompareAndDelete(ctx context.Context, key string, rev checkpoint.Revision) error {
	return wrap("delete", key, s.change(ctx, key, &rev, func(name string, is file) error {
		if is.expired || !is.there {
			return checkpoint.ErrConflict // even when there is none at revision 0
		}
		return s.remove(ctx, name, is)
	}))
}

// remove is called with the key's lock.
func (s *Store) remove(ctx context.Context, name string, is file) error {
	if !is.there {
		return nil
	}
	if err := s.raiseFloor(ctx, name, is.revision); err != nil {
		return err
	}
	if err := os.Remove(s.path(valuesDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(s.path(valuesDir))
}

// change has f change a key that no other process or goroutine changes at the
// time, and that is at the revision that is wanted, nil being any.
func (s *Store) change(ctx context.Context, key string, want *checkpoint.Revision, f func(name string, is file) error) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	name := nameOf(key)
	unlock, err := s.lock(ctx, stripeOf(name))
	if err != nil {
		return err
	}
	defer unlock()
	is, err := s.read(name)
	if err == nil && is.there && is.key != key {
		err = ErrDamaged
	}
	if err != nil {
		return err
	}
	if want != nil {
		at := is.revision
		if is.expired {
			at = 0
		}
		if at != *want {
			return fmt.Errorf("%w: it is at %d, not %d", checkpoint.ErrConflict, at, *want)
		}
	}
	return f(name, is)
}

func begin(ctx context.Context, key string) error {
	if err := checkpoint.CheckKey(key); err != nil {
		return err
	}
	return ctx.Err()
}

func wrap(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("checkpoint/dir: %s %q: %w", op, key, err)
}
