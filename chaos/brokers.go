package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// brokerOrder says how a process reaches the broker.
type brokerOrder struct {
	Broker   string // "nats" or "rabbitmq"
	Hosts    []string
	Replicas int
	Lease    time.Duration // AckWait where the broker has leases
	Limit    int           // lost deliveries before a dead letter
}

// open connects. problem is told what goes wrong in the background.
func (o brokerOrder) open(ctx context.Context, problem func(error)) (broker.Broker, error) {
	switch o.Broker {
	case "nats":
		return nats.Open(ctx, nats.Config{
			URL:        "nats://" + strings.Join(o.Hosts, ",nats://"),
			AckWait:    o.Lease,
			MaxDeliver: o.Limit,
			Replicas:   o.Replicas,
			// A run has no half minute for each connection that is half open.
			Options: []natsgo.Option{natsgo.PingInterval(time.Second)},
			OnError: problem,
		})
	case "rabbitmq":
		return rabbitmq.Open(ctx, rabbitmq.Config{
			URL:        "amqp://" + strings.Join(o.Hosts, ",amqp://"),
			MaxDeliver: o.Limit,
			OnError:    problem,
		})
	}
	return nil, fmt.Errorf("no broker %q; there are nats and rabbitmq", o.Broker)
}
