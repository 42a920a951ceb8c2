package dir

import (
	"context"
	"os"
	"strconv"
	"sync"
	"time"
)

// sweeper goes through the values, a few with each save, again and again.
type sweeper struct {
	mu   sync.Mutex // taken by whoever sweeps; others leave it
	list *os.File   // of the directory of values, where it is; nil: at the end
	rest time.Time  // until when it pauses there
}

const (
	sweepStep  = 8           // files with each save
	sweepPause = time.Minute // between two rounds, at least
)

// sweepSome removes what has expired among the next few values. What cannot be
// removed is left to the next round.
func (s *Store) sweepSome(ctx context.Context) {
	w := &s.sweep
	if s.opts.MaxAge < 0 || !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	if w.list == nil {
		if time.Now().Before(w.rest) {
			return
		}
		list, err := os.Open(s.path(valuesDir))
		if err != nil {
			return
		}
		w.list = list
	}
	entries, err := w.list.ReadDir(sweepStep)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && s.isOld(info) {
			s.removeOld(ctx, e.Name())
		}
	}
	if err != nil || len(entries) == 0 {
		_ = w.list.Close()
		w.list, w.rest = nil, time.Now().Add(sweepPause)
	}
}

// removeOld removes a value when it still is old and nobody is about to change
// it.
func (s *Store) removeOld(ctx context.Context, name string) {
	unlock, err := s.tryLock(stripeOf(name))
	if err != nil || unlock == nil {
		return
	}
	defer unlock()
	if is, err := s.read(name); err == nil && is.expired {
		_ = s.remove(ctx, name, is)
	}
}

// removeLeftovers removes what a crash has left half-written: what is there
// though nobody holds the lock with which it was made.
func (s *Store) removeLeftovers() error {
	entries, err := os.ReadDir(s.path(tempDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		stripe, err := strconv.ParseUint(e.Name()[:min(2, len(e.Name()))], 16, 8)
		if err != nil || stripe >= stripes {
			continue // not ours
		}
		unlock, err := s.tryLock(int(stripe))
		if err != nil {
			return err
		}
		if unlock == nil {
			continue
		}
		err = os.Remove(s.path(tempDir, e.Name()))
		unlock()
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
