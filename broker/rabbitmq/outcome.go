package rabbitmq

import (
	"context"

	"github.com/occamy-go/occamy"
)

func (b *Broker) publishOutcome(context.Context, occamy.Outcome) error { return errPending }

// Result implements broker.Broker.
func (b *Broker) Result(context.Context, string) (occamy.Outcome, error) {
	return occamy.Outcome{}, errPending
}
