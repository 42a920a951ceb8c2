package checkpointtest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/occamy-go/occamy/checkpoint"
)

// World is a place, at first empty, with the stores that keep their values
// there.
type World struct {
	// Open returns one more store of this place, as another process would have
	// it. It is closed by t.Cleanup where it needs that.
	Open func(t testing.TB) checkpoint.Store

	// MaxValue is the largest value that the store takes, in bytes.
	MaxValue int

	// Expire returns when a value that has been saved just now is older than
	// MaxAge, be it that it has been made older, or that the time has passed.
	Expire func(t testing.TB, key string)

	// Seeds is how many random histories to play. Zero: 5.
	Seeds int
}

// Run checks the stores of a world, a new one for each test. A store that a
// server may use passes all of it, under the race detector too.
func Run(t *testing.T, world func(t *testing.T) World) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, w World)
	}{
		{"a value comes back as it was saved", valuesComeBack},
		{"a store keeps no part of what it is given or gives", valuesAreCopies},
		{"a save replaces, whatever is there", saveReplaces},
		{"a compare-and-save is taken only at its revision", comparesRevisions},
		{"a delete removes, and none is no error", deletes},
		{"a compare-and-delete removes only at its revision", comparesBeforeDelete},
		{"a revision never comes again", revisionsAreNew},
		{"odd keys are keys like others", oddKeys},
		{"what is no key is refused", invalidKeys},
		{"a value may have MaxValue bytes and no more", sizes},
		{"a value expires", expires},
		{"a context that has ended changes nothing", contextEnded},
		{"of those who compare and save at once one wins", oneWins},
		{"counting together counts each once", countsTogether},
		{"revisions grow while many save and delete", growsUnderContention},
		{"an attempt takes over from the last one", takesOver},
		{"of those who claim at once one holds", oneHolds},
		{"progress that has expired is superseded", expiredProgress},
		{"a zombie never overwrites, whatever faults there are", zombies},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, world(t)) })
	}
}

// limit bounds one test's waiting for a store.
const limit = time.Minute

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// box is a store and one of its keys.
type box struct {
	testing.TB
	ctx   context.Context
	store checkpoint.Store
	key   string
}

func (w World) box(t *testing.T, key string) *box {
	return &box{t, within(t), w.Open(t), key}
}

func (b *box) save(value string) checkpoint.Revision {
	b.Helper()
	rev, err := b.store.Save(b.ctx, b.key, []byte(value))
	if err != nil || rev == 0 {
		b.Fatalf("Save %q: revision %d, %v", b.key, rev, err)
	}
	return rev
}

// compareAndSave wants the write to be taken.
func (b *box) compareAndSave(value string, at checkpoint.Revision) checkpoint.Revision {
	b.Helper()
	rev, err := b.store.CompareAndSave(b.ctx, b.key, []byte(value), at)
	if err != nil || rev <= at {
		b.Fatalf("CompareAndSave at %d: revision %d, %v", at, rev, err)
	}
	return rev
}

// conflict wants the write not to be taken.
func (b *box) conflict(at checkpoint.Revision) {
	b.Helper()
	if rev, err := b.store.CompareAndSave(b.ctx, b.key, []byte("stale"), at); !errors.Is(err, checkpoint.ErrConflict) {
		b.Errorf("CompareAndSave at %d: revision %d, %v; want ErrConflict", at, rev, err)
	}
}

func (b *box) remove() {
	b.Helper()
	if err := b.store.Delete(b.ctx, b.key); err != nil {
		b.Fatalf("Delete %q: %v", b.key, err)
	}
}

func (b *box) want(value string, rev checkpoint.Revision) {
	b.Helper()
	e, err := b.store.Load(b.ctx, b.key)
	if err != nil || !bytes.Equal(e.Value, []byte(value)) || e.Revision != rev {
		b.Fatalf("Load %.50q: %.50q at %d, %v; want %.50q at %d", b.key, e.Value, e.Revision, err, value, rev)
	}
}

func (b *box) wantNone() {
	b.Helper()
	if e, err := b.store.Load(b.ctx, b.key); !errors.Is(err, checkpoint.ErrNotFound) {
		b.Fatalf("Load %.50q: %.50q at %d, %v; want ErrNotFound", b.key, e.Value, e.Revision, err)
	}
}
