package rabbitmq

import (
	"context"
	"time"

	"github.com/occamy-go/occamy"
)

// Servers implements broker.Broker.
func (b *Broker) Servers(context.Context, time.Duration) ([]occamy.Snapshot, error) {
	return nil, errPending
}
