package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker"
)

var _ broker.Pinger = (*Broker)(nil)

var errDown = errors.New("rabbitmq: not connected")

// Ping implements broker.Pinger. It opens and closes a channel on the connection
// that requests come by. The other is to be there; a broker that is short of
// memory or disk does not read from it, and is no less connected.
func (b *Broker) Ping(ctx context.Context) error {
	if err := b.usable(); err != nil {
		return err
	}
	if _, err := b.out.now(); err != nil {
		return err
	}
	conn, err := b.in.now()
	if err != nil {
		return err
	}
	_, err = abandon(ctx, func() (struct{}, error) {
		ch, err := conn.Channel()
		if err == nil {
			err = ch.Close()
		}
		return struct{}{}, err
	}, func(struct{}) {})
	if err != nil {
		return fmt.Errorf("rabbitmq: no answer: %w", err)
	}
	return nil
}

// now returns the connection, or why there is none.
func (l *link) now() (*amqp.Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.conn != nil:
		return l.conn, nil
	case l.last == nil:
		return nil, errDown
	}
	return nil, fmt.Errorf("%w: %w", errDown, l.last)
}
