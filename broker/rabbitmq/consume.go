package rabbitmq

import (
	"context"

	"github.com/occamy-go/occamy"
)

// Consume implements occamy.Source.
func (b *Broker) Consume(ctx context.Context, in occamy.Intake) error {
	return b.consumeControl(ctx, in, func() map[string]int { return nil })
}
