package rabbitmq

import (
	"context"

	"github.com/occamy-go/occamy/broker"
)

// DeadLetters implements broker.Broker.
func (b *Broker) DeadLetters(context.Context, int) ([]broker.DeadLetter, error) {
	return nil, errPending
}

// DeadLetter implements broker.Broker.
func (b *Broker) DeadLetter(context.Context, string) (broker.DeadLetter, error) {
	return broker.DeadLetter{}, errPending
}

// Retry implements broker.Broker.
func (b *Broker) Retry(context.Context, string) error { return errPending }
