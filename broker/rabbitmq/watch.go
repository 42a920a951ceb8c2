package rabbitmq

import (
	"context"

	"github.com/occamy-go/occamy/broker"
)

// Watch implements broker.Broker.
func (b *Broker) Watch(context.Context, string) (<-chan broker.Event, error) { return nil, errPending }
