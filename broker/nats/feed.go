package nats

import (
	"context"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var _ broker.Feed = (*Broker)(nil)

// What may wait for a listener that does not keep up.
const (
	maxHeard      = 8192
	maxHeardBytes = 32 << 20
)

// Announce implements broker.Feed. It does not wait.
func (b *Broker) Announce(ctx context.Context, topic string, body []byte) error {
	if err := broker.CheckTopic(topic); err != nil {
		return err
	}
	if err := b.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	if !b.nc.IsConnected() {
		return nil // it would be sent when nobody wants to know any more
	}
	err := b.nc.Publish(b.names.feed(topic), body)
	if errors.Is(err, natsgo.ErrMaxPayload) {
		return fmt.Errorf("nats: %w: %w", occamy.ErrTooLarge, err)
	}
	return b.publishErrorOrNil(err)
}

// Listen implements broker.Feed.
func (b *Broker) Listen(ctx context.Context, topic string, take func(body []byte)) error {
	if err := broker.CheckTopic(topic); err != nil {
		return err
	}
	call, end, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	sub, err := b.nc.Subscribe(b.names.feed(topic), func(m *natsgo.Msg) {
		if ctx.Err() == nil {
			take(m.Data)
		}
	})
	if err != nil {
		return fmt.Errorf("nats: listen to %s: %w", topic, err)
	}
	err = sub.SetPendingLimits(maxHeard, maxHeardBytes)
	if err == nil {
		err = b.known(call)
	}
	if err != nil {
		_ = sub.Unsubscribe()
		return fmt.Errorf("nats: listen to %s: %w", topic, err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() }) // fails when the connection is closed
	return nil
}

// known waits until NATS knows what was subscribed to.
func (b *Broker) known(ctx context.Context) error {
	if _, has := ctx.Deadline(); has {
		return b.nc.FlushWithContext(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	return b.nc.FlushWithContext(ctx)
}
