package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/occamy-go/occamy"
)

// Revision numbers the writes of a key. Those of a key only grow and never come
// again, not even after it was deleted or has expired, so a revision is good as
// a fencing token. Zero: there is no value.
type Revision uint64

// Entry is what a key has.
type Entry struct {
	Value    []byte // the caller's own
	Revision Revision
}

// Store keeps values by key, for as long as MaxAge of the implementation after
// the last save. A value that has expired is as good as deleted.
//
// A key is what CheckKey allows. Values are not kept or changed by the store
// after a call. Nil and empty are the same value. All methods may be called by
// several goroutines, block until the store has answered or ctx ends, and
// return an error that wraps
//
//   - ErrInvalidKey for a key that CheckKey does not allow
//   - the error of ctx when it has ended
//
// An error other than the ones that are named says nothing of whether the
// change was made: the answer may have been lost. [Progress] copes with that.
type Store interface {
	// Load returns what the key has: the last value whose save was answered, or
	// a later one. The error wraps ErrNotFound when there is none.
	Load(ctx context.Context, key string) (Entry, error)

	// Save sets the key's value, whatever is there. The error wraps ErrTooLarge,
	// before anything is sent, when the store cannot keep so much.
	Save(ctx context.Context, key string, value []byte) (Revision, error)

	// CompareAndSave is Save when the key's revision is rev, zero being that
	// there is none. Otherwise the error wraps ErrConflict.
	CompareAndSave(ctx context.Context, key string, value []byte, rev Revision) (Revision, error)

	// Delete removes the key. That there is none is no error.
	Delete(ctx context.Context, key string) error
}

// CompareAndDeleter is a Store that can delete a key only when its revision is
// rev; the error wraps ErrConflict otherwise, or errors.ErrUnsupported when the
// store cannot after all. Without it, Progress clears the value first, and then
// deletes what may, in the moment between, have become another's.
type CompareAndDeleter interface {
	CompareAndDelete(ctx context.Context, key string, rev Revision) error
}

// Errors of stores and of Progress.
var (
	// ErrNotFound: the key has no value.
	ErrNotFound = errors.New("checkpoint: not found")
	// ErrConflict: the key has another revision; load it anew.
	ErrConflict = errors.New("checkpoint: the revision has changed")
	// ErrTooLarge: the store does not take a value of this size. It wraps
	// occamy.ErrTooLarge.
	ErrTooLarge error = tooLarge{}
	// ErrInvalidKey: CheckKey does not allow the key.
	ErrInvalidKey = errors.New("checkpoint: invalid key")
	// ErrSuperseded: another attempt has claimed the progress, or it is gone:
	// removed when the request was acked, or expired. Stop; the request is not
	// this attempt's any more.
	ErrSuperseded = errors.New("checkpoint: superseded by another attempt")
	// ErrNotClaimed: Claim has not succeeded, or Delete has.
	ErrNotClaimed = errors.New("checkpoint: not claimed; call Claim first")
	// ErrFormat: the value was not saved by Progress, or by a newer version.
	ErrFormat = errors.New("checkpoint: not a value that Progress has saved")
)

type tooLarge struct{}

func (tooLarge) Error() string { return "checkpoint: value too large for the store" }
func (tooLarge) Unwrap() error { return occamy.ErrTooLarge }

// Defaults of the stores.
const (
	// DefaultMaxAge is how long a value is kept after its last save.
	DefaultMaxAge = 7 * 24 * time.Hour
	// DefaultMaxValue is the largest value, in bytes, where the store itself
	// has no lower limit.
	DefaultMaxValue = 64 << 20
)

// MaxKey is the longest key, in bytes: the longest request ID, and as much
// again for what tells the keys of one request apart.
const MaxKey = 1024

// CheckKey says whether key can name a value: up to MaxKey bytes of valid UTF-8
// without control characters, neither empty nor with a space at either end. So
// every ID of a request is a key, and so is one with a suffix such as "/part/1".
// The error wraps ErrInvalidKey.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidKey)
	case len(key) > MaxKey:
		return fmt.Errorf("%w: it has %d bytes; at most %d are allowed", ErrInvalidKey, len(key), MaxKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidKey, key)
	case strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("%w: %q has a control character", ErrInvalidKey, key)
	case strings.TrimSpace(key) != key:
		return fmt.Errorf("%w: %q begins or ends with a space", ErrInvalidKey, key)
	}
	return nil
}

// CheckSize says whether a store takes n bytes when its limit is most; the
// error wraps ErrTooLarge and tells both. It is for implementations.
func CheckSize(n, most int) error {
	if n <= most {
		return nil
	}
	return fmt.Errorf("%w: %d bytes; at most %d are allowed", ErrTooLarge, n, most)
}
