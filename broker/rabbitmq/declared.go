package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// errMissing: something is not there that the config says is.
var errMissing = errors.New("Config.Declared says that these are there, and they are not")

// findKind looks whether all is there that requests of a kind need, and their
// dead letters, where a program declares that itself.
func (b *Broker) findKind(ctx context.Context, kind string) error {
	n := b.names
	exchange := func(name string) func(*amqp.Channel) error {
		return func(ch *amqp.Channel) error {
			return ch.ExchangeDeclarePassive(name, amqp.ExchangeDirect, true, false, false, false, nil)
		}
	}
	queue := func(name string) func(*amqp.Channel) error {
		return func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
			return err
		}
	}
	var missing []string
	for _, part := range []struct {
		what, name, field string
		look              func(*amqp.Channel) error
	}{
		{"exchange", n.requests, "RequestExchange", exchange(n.requests)},
		{"queue", n.requestQueue(kind), "RequestQueue", queue(n.requestQueue(kind))},
		{"exchange", n.dead, "DeadExchange", exchange(n.dead)},
		{"queue", n.deadQueue(kind), "DeadQueue", queue(n.deadQueue(kind))},
	} {
		if part.name == "" {
			continue // the default exchange
		}
		_, err := ask(ctx, b, func(ch *amqp.Channel) (struct{}, error) { return struct{}{}, part.look(ch) })
		switch {
		case notFound(err) && !unreachable(err):
			missing = append(missing, fmt.Sprintf("the %s %q (Names.%s)", part.what, part.name, part.field))
		case err != nil:
			return fmt.Errorf("rabbitmq: look for the %s %q: %w", part.what, part.name, err)
		}
	}
	if missing != nil {
		return fmt.Errorf("rabbitmq: kind %q: %w: %s; declare them with their bindings, or set Names to what you declared, or leave Declared false and they are created",
			kind, errMissing, strings.Join(missing, ", "))
	}
	return nil
}

// unreachable says whether a queue that the broker does not find is on a node
// that is down.
func unreachable(err error) bool { return strings.Contains(err.Error(), "inaccessible") }
