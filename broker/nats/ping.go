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

// Ping implements broker.Pinger. A ping that went out while the connection broke
// is never answered, so the loss ends it.
func (b *Broker) Ping(ctx context.Context) error {
	if err := b.usable(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return inVain(ctx, nil)
	}
	lost, err := b.link.now()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- b.nc.FlushWithContext(ctx) }()
	select {
	case err = <-answer:
	case <-lost:
		err = errCut
	}
	if errors.Is(err, natsgo.ErrConnectionClosed) && b.closing.Load() {
		return broker.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("nats: no answer: %w", err)
	}
	return nil
}

// now returns a channel that is closed once the connection is lost, or why there
// is none.
func (l *link) now() (lost <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.connected:
		return l.lost, nil
	case l.last == nil:
		return nil, errDown
	}
	return nil, fmt.Errorf("%w: %w", errDown, l.last)
}
