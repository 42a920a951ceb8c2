package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker"
)

var _ broker.Pinger = (*Broker)(nil)

// pingTime bounds a Ping whose ctx has no end.
const pingTime = 10 * time.Second

// Ping implements broker.Pinger.
func (b *Broker) Ping(ctx context.Context) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := b.link.down(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	err := b.nc.FlushWithContext(ctx)
	if errors.Is(err, natsgo.ErrConnectionClosed) && b.closing.Load() {
		return broker.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("nats: no answer: %w", err)
	}
	return nil
}

// down returns why there is no connection now; nil when there is one.
func (l *link) down() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.connected:
		return nil
	case l.last == nil:
		return errDown
	}
	return fmt.Errorf("%w: %w", errDown, l.last)
}
