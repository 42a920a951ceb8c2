package memory

import (
	"context"
	"errors"

	"github.com/occamy-go/occamy/broker"
)

var _ broker.Pinger = (*Broker)(nil)

var errCut = errors.New("memory: the connection is cut")

// Ping implements broker.Pinger.
func (b *Broker) Ping(ctx context.Context) error {
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	switch {
	case b.life.Err() != nil:
		return broker.ErrClosed
	case b.healed != nil:
		return errCut
	}
	return ctx.Err()
}
