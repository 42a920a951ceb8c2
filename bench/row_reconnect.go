package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/internal/rabbitnode"
)

// reconnectFamily: how soon a server works again after its broker was gone.
func reconnectFamily() family {
	const name = "reconnect"
	return family{
		rows: []row{{
			name: name, unit: "s", constant: 2, goal: "≤ 1",
			about: "the broker is killed and comes back after 10 s: from the moment it serves a bare client until the server begins a request which that client sends",
			extra: func(values, _ []sample) string {
				return fmt.Sprintf("the slower of NATS (median %.4g) and RabbitMQ (%.4g) in each round",
					median(column(values, "nats")), median(column(values, "rabbitmq")))
			},
		}},
		value: func(p plan) (sample, error) {
			n, err := natsOutage(p)
			if err != nil {
				return nil, fmt.Errorf("NATS: %w", err)
			}
			return sample{name: n, "nats": n}, nil
		},
	}
}

// An outage is a broker that is killed and comes back.
type outage struct {
	broker  broker.Broker // as the server has it
	kill    func() error
	restart func() error
	// knock is one try of a bare client; it gives the way to publish a request
	// of kind rateKind, once the broker serves it.
	knock func(ctx context.Context) (publish func() error, err error)
}

// seconds is how long the server takes to be back once the broker is.
func (o outage) seconds(ctx context.Context, down time.Duration) (_ float64, err error) {
	// What the bare client sends has no ID.
	before, begun := make(chan struct{}, 16), make(chan time.Time, 16)
	s, err := newServer(occamy.Config{Slots: rateSlots}, map[string]func(occamy.Request) occamy.Task{
		rateKind: func(r occamy.Request) occamy.Task {
			return task(func(context.Context) error {
				if r.ID == "" {
					begun <- time.Now()
				} else {
					before <- struct{}{}
				}
				return nil
			})
		},
	})
	if err != nil {
		return 0, err
	}
	serving := make(chan error, 1)
	go func() { serving <- s.Serve(ctx, o.broker) }()
	defer func() { err = errors.Join(err, s.stop(), <-serving) }()
	if err := o.broker.Submit(ctx, broker.Request{Kind: rateKind, ID: "before"}); err != nil {
		return 0, err
	}
	if err := await(before, "the request before the outage"); err != nil {
		return 0, err
	}
	if err := o.kill(); err != nil {
		return 0, err
	}
	time.Sleep(down)
	restarted := make(chan error, 1)
	go func() { restarted <- o.restart() }()
	var publish func() error
	err = eventually("a broker that is back", func() bool {
		publish, err = o.knock(ctx)
		if err != nil {
			time.Sleep(5 * time.Millisecond)
		}
		return err == nil
	})
	back := time.Now()
	if err != nil {
		return 0, errors.Join(err, <-restarted)
	}
	if err := errors.Join(publish(), <-restarted); err != nil {
		return 0, err
	}
	select {
	case at := <-begun:
		return at.Sub(back).Seconds(), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func natsOutage(p plan) (_ float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "occamy-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	port, err := rabbitnode.FreePort()
	if err != nil {
		return 0, err
	}
	n, err := startNATS(dir, port)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	b, err := nats.Open(ctx, nats.Config{URL: n.url})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()

	var bare *natsgo.Conn
	defer func() { bare.Close() }()
	o := outage{
		broker: b,
		kill:   n.kill,
		restart: func() error {
			again, err := startNATS(dir, port)
			if err == nil {
				*n = *again
			}
			return err
		},
		knock: func(ctx context.Context) (func() error, error) {
			if bare == nil {
				nc, err := natsgo.Connect(n.url, natsgo.Timeout(time.Second), natsgo.NoReconnect())
				if err != nil {
					return nil, err
				}
				bare = nc
			}
			js, err := jetstream.New(bare)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if _, err := js.Stream(ctx, natsStream); err != nil {
				return nil, err
			}
			return func() error {
				_, err := js.Publish(context.WithoutCancel(ctx), natsSubject+rateKind, nil)
				return err
			}, nil
		},
	}
	return o.seconds(ctx, p.duration(10*time.Second))
}
