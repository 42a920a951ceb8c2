package rabbitmq

import (
	"context"
	"errors"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

var errPending = errors.New("rabbitmq: events pending")

func (b *Broker) consumeControl(ctx context.Context, _ occamy.Intake, _ func() map[string]int) error {
	<-ctx.Done()
	return nil
}

// Control implements broker.Broker.
func (b *Broker) Control(context.Context, string, occamy.Headers, []byte) error { return errPending }

// Optional implements broker.Broker.
func (b *Broker) Optional(context.Context, broker.Request) error { return errPending }

// Command implements broker.Broker.
func (b *Broker) Command(context.Context, occamy.Headers) error { return errPending }
