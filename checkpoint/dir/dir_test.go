package dir_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/checkpointtest"
	"github.com/occamy-go/occamy/checkpoint/dir"
)

func open(t testing.TB, path string, o dir.Options) *dir.Store {
	t.Helper()
	s, err := dir.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fileOf is where a key's value is.
func fileOf(root, key string) string {
	h := sha256.Sum256([]byte(key))
	return filepath.Join(root, "values", hex.EncodeToString(h[:]))
}

// makeOld makes a value older than the default MaxAge.
func makeOld(t testing.TB, root, key string) {
	t.Helper()
	old := time.Now().Add(-checkpoint.DefaultMaxAge)
	if err := os.Chtimes(fileOf(root, key), old, old); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	checkpointtest.Run(t, func(t *testing.T) checkpointtest.World {
		const most = 1 << 20
		root := filepath.Join(t.TempDir(), "not", "there", "yet")
		return checkpointtest.World{
			Open:     func(t testing.TB) checkpoint.Store { return open(t, root, dir.Options{MaxValue: most}) },
			MaxValue: most,
			Expire:   func(t testing.TB, key string) { makeOld(t, root, key) },
		}
	})
}

func count(t *testing.T, path string) int {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestWhatHasExpiredIsSweptByLaterSaves(t *testing.T) {
	root := t.TempDir()
	s := open(t, root, dir.Options{})
	const old = 50
	var last checkpoint.Revision
	for i := range old {
		key := fmt.Sprint("old ", i)
		for range i%3 + 1 {
			rev, err := s.Save(t.Context(), key, nil)
			if err != nil {
				t.Fatal(err)
			}
			last = max(last, rev)
		}
		makeOld(t, root, key)
	}
	s = open(t, root, dir.Options{})
	for range old { // each sweeps some
		if _, err := s.Save(t.Context(), "new", nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, filepath.Join(root, "values")); n != 1 {
		t.Errorf("%d values are left, want the new one", n)
	}
	if rev, err := s.Save(t.Context(), "old 2", nil); err != nil || rev <= last {
		t.Errorf("revision %d, %v; want more than %d, which was swept", rev, err, last)
	}
	for range old {
		if _, err := open(t, root, dir.Options{MaxAge: -1}).Load(t.Context(), "new"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenRemovesWhatACrashLeft(t *testing.T) {
	root := t.TempDir()
	open(t, root, dir.Options{})
	temp := filepath.Join(root, "temp")
	for _, name := range []string{"00-1", "3f-2", "40-3", "of somebody else"} {
		if err := os.WriteFile(filepath.Join(temp, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, root, dir.Options{})
	if n := count(t, temp); n != 1 {
		t.Errorf("%d files are left, want the one that is not ours", n)
	}
}

func TestAFileOfAnySizeIsDamaged(t *testing.T) {
	root := t.TempDir()
	s := open(t, root, dir.Options{})
	if _, err := s.Save(t.Context(), "key", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(fileOf(root, "key"), 1<<42); err != nil { // with a hole, on any disk
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), "key"); !errors.Is(err, dir.ErrDamaged) {
		t.Errorf("Load: %v", err)
	}
}

// A disk that is full takes no file, and must not stay full for that.
func TestWhatIsThereIsRemovedWhereNothingCanBeWritten(t *testing.T) {
	root := t.TempDir()
	s := open(t, root, dir.Options{})
	var last checkpoint.Revision
	const old = 20
	for i := range old {
		key := fmt.Sprint("old ", i)
		if _, err := s.Save(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
		makeOld(t, root, key)
	}
	for range 2 {
		rev, err := s.Save(t.Context(), "key", []byte("value"))
		if err != nil {
			t.Fatal(err)
		}
		last = rev
	}
	s = open(t, root, dir.Options{})
	temp := filepath.Join(root, "temp")
	if err := errors.Join(os.Remove(temp), os.WriteFile(temp, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "key"); err != nil {
		t.Error(err)
	}
	for range old {
		if _, err := s.Save(t.Context(), "new", nil); err == nil {
			t.Fatal("Save: no error")
		}
	}
	if n := count(t, filepath.Join(root, "values")); n != 0 {
		t.Errorf("%d values are left", n)
	}
	if err := errors.Join(os.Remove(temp), os.Mkdir(temp, 0o700)); err != nil {
		t.Fatal(err)
	}
	if rev, err := s.Save(t.Context(), "key", nil); err != nil || rev <= last {
		t.Errorf("revision %d, %v; want more than %d, which was removed", rev, err, last)
	}
}

func TestADamagedFileIsAnErrorAndIsLeftAlone(t *testing.T) {
	root := t.TempDir()
	s := open(t, root, dir.Options{})
	if _, err := s.Save(t.Context(), "key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	path := fileOf(root, "key")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(good) {
		for _, bad := range [][]byte{good[:n], bytes.Replace(good, good[n:n+1], []byte{good[n] ^ 0x20}, 1)} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, loaded := s.Load(t.Context(), "key")
			_, saved := s.Save(t.Context(), "key", nil)
			for _, err := range []error{loaded, saved, s.Delete(t.Context(), "key")} {
				if !errors.Is(err, dir.ErrDamaged) {
					t.Fatalf("%q: %v", bad, err)
				}
			}
		}
	}
}

// A writer that was stopped while it holds a lock holds up others no longer
// than their contexts allow.
func TestWaitingForALockEndsWithTheContext(t *testing.T) {
	root := t.TempDir()
	mine, other := open(t, root, dir.Options{}), open(t, root, dir.Options{})
	unlock, err := other.LockKey(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := mine.Save(ctx, "key", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Save: %v", err)
		}
		cancel()
	}
	if _, err := mine.Load(t.Context(), "key"); !errors.Is(err, checkpoint.ErrNotFound) {
		t.Errorf("Load: %v", err) // which waits for nobody
	}
	unlock()
	if _, err := mine.Save(t.Context(), "key", nil); err != nil {
		t.Errorf("Save: %v", err)
	}
}
