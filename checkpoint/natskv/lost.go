package natskv

import (
	"context"
	"errors"
	"time"
)

// errLost: the connection broke while a call waited for its answer. Whether a
// write was taken is open.
var errLost = errors.New("the connection to the NATS server was lost before it answered")

// lookEvery is how often a call that waits looks for the connection.
const lookEvery = 100 * time.Millisecond

// whileConnected ends a call once the connection over which its answer would come
// is lost: NATS's client waits for it all the same. A call that begins while there
// is none goes out with the next.
func (s *Store) whileConnected(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := s.nc.Stats().Reconnects
	if !s.nc.IsConnected() {
		over++
	}
	look := time.NewTicker(lookEvery)
	go func() {
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			if n := s.nc.Stats().Reconnects; n > over || n == over && !s.nc.IsConnected() {
				cancel(errLost)
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// told is err, or errLost when that is why.
func told(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errLost) {
		return errLost
	}
	return err
}
