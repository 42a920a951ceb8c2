package rabbitmq

import "context"

// noteKind keeps a kind, so that Queues knows of it.
func (b *Broker) noteKind(context.Context, string) error { return nil }
