package rabbitmq

import (
	"context"

	"github.com/occamy-go/occamy/broker"
)

// Queues implements broker.Broker.
func (b *Broker) Queues(context.Context) ([]broker.Queue, error) { return nil, errPending }
