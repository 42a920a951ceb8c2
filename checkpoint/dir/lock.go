package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// Writers of keys exclude each other by stripe: many keys, few files, which are
// never removed. The last one is that of the floor.
const (
	stripes     = 65
	floorStripe = stripes - 1
)

// stripeOf is the stripe of a value's file, or of the floor.
func stripeOf(name string) int {
	if n, err := strconv.ParseUint(name[:2], 16, 8); err == nil {
		return int(n) % floorStripe
	}
	return floorStripe
}

// lock waits until nobody else holds a stripe, in this process or another. The
// system gives it back when the process ends.
func (s *Store) lock(ctx context.Context, stripe int) (unlock func(), err error) {
	turn := s.turns[stripe]
	select {
	case <-turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := s.openLock(stripe)
	if err != nil {
		turn <- struct{}{}
		return nil, err
	}
	release := func() {
		_ = f.Close() // which unlocks
		turn <- struct{}{}
	}
	if err = flock(f, false); errors.Is(err, errLocked) {
		var locked error
		got := make(chan struct{})
		go func() {
			defer close(got)
			locked = flock(f, true)
		}()
		select {
		case <-got:
			err = locked
		case <-ctx.Done():
			go func() { // the turn stays taken meanwhile, so there is one of these at most
				<-got
				release()
			}()
			return nil, ctx.Err()
		}
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// tryLock is lock that does not wait; nil when somebody else holds the stripe.
func (s *Store) tryLock(stripe int) (unlock func(), err error) {
	turn := s.turns[stripe]
	select {
	case <-turn:
	default:
		return nil, nil
	}
	f, err := s.openLock(stripe)
	if err == nil {
		if err = flock(f, false); err == nil {
			return func() {
				_ = f.Close()
				turn <- struct{}{}
			}, nil
		}
		_ = f.Close()
	}
	turn <- struct{}{}
	if errors.Is(err, errLocked) {
		err = nil
	}
	return nil, err
}

// errLocked: somebody else holds the lock.
var errLocked = errors.New("locked")

func (s *Store) openLock(stripe int) (*os.File, error) {
	return os.OpenFile(s.path(locksDir, fmt.Sprintf("%02x", stripe)), os.O_RDWR|os.O_CREATE, 0o600)
}
