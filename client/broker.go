package client

import (
	"context"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Broker is what a [Client] asks of a broker; every [broker.Broker] is one, and
// says what each method promises. What serves requests, and who closes the
// connection, is no concern of a client.
type Broker interface {
	Submit(ctx context.Context, r broker.Request) error
	Optional(ctx context.Context, r broker.Request) error
	Control(ctx context.Context, id string, headers occamy.Headers, body []byte) error
	Command(ctx context.Context, headers occamy.Headers) error
	Result(ctx context.Context, id string) (occamy.Outcome, error)
	Watch(ctx context.Context, id string) (<-chan broker.Event, error)
	DeadLetters(ctx context.Context, limit int) ([]broker.DeadLetter, error)
	DeadLetter(ctx context.Context, id string) (broker.DeadLetter, error)
	Retry(ctx context.Context, id string) error
	Queues(ctx context.Context) ([]broker.Queue, error)
	Servers(ctx context.Context, wait time.Duration) ([]occamy.Snapshot, error)
}

var _ Broker = broker.Broker(nil)
