package rabbitmq

import (
	"context"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker"
)

// Submit implements broker.Broker. RabbitMQ does not tell a request that is
// submitted twice from two.
func (b *Broker) Submit(ctx context.Context, r broker.Request) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := r.Check(); err != nil {
		return err
	}
	h, err := encodeHeaders(r.WithKeys(b.cfg.Keys))
	if err != nil {
		return err
	}
	return b.publishRequest(ctx, r.Kind, amqp.Publishing{Headers: h, Body: r.Body, ReplyTo: b.hub.addressFor(r.ID)})
}
