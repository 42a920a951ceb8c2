package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/rabbitmq"
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
		rabbitmq: true,
		value: func(p plan) (sample, error) {
			n, err := natsOutage(p)
			if err != nil {
				return nil, fmt.Errorf("NATS: %w", err)
			}
			r, err := rabbitmqOutage(p)
			if err != nil {
				return nil, fmt.Errorf("RabbitMQ: %w", err)
			}
			return sample{name: max(n, r), "nats": n, "rabbitmq": r}, nil
		},
	}
}

// An outage is a broker that is killed and comes back.
type outage struct {
	broker  broker.Broker // as the server has it
	kill    func() error
	restart func() error
	// knock is one try of a bare client to send a request of kind rateKind; it
	// gives the moment in which it sent the one that the broker confirmed.
	knock func(ctx context.Context) (time.Time, error)
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
	// RabbitMQ notes a new quorum queue some time after it has confirmed it.
	time.Sleep(2 * time.Second)
	if err := o.kill(); err != nil {
		return 0, err
	}
	time.Sleep(down)
	restarted := make(chan error, 1)
	go func() { restarted <- o.restart() }()
	var back time.Time
	err = eventually("a broker that is back", func() bool {
		var err error
		if back, err = o.knock(ctx); err != nil {
			time.Sleep(5 * time.Millisecond)
		}
		return err == nil
	})
	if err := errors.Join(err, <-restarted); err != nil {
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
	url := n.url // also of the one that comes after it
	b, err := nats.Open(ctx, nats.Config{URL: url})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()

	o := outage{
		broker: b,
		kill:   func() error { return n.kill() },
		restart: func() error {
			again, err := startNATS(dir, port)
			if err == nil {
				n = again
			}
			return err
		},
		knock: func(ctx context.Context) (at time.Time, err error) {
			nc, err := natsgo.Connect(url, natsgo.Timeout(time.Second), natsgo.NoReconnect())
			if err != nil {
				return at, err
			}
			defer nc.Close()
			js, err := jetstream.New(nc)
			if err != nil {
				return at, err
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			at = time.Now()
			_, err = js.Publish(ctx, natsSubject+rateKind, nil)
			return at, err
		},
	}
	return o.seconds(ctx, p.duration(10*time.Second))
}

func rabbitmqOutage(p plan) (_ float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var node rabbit
	end, err := node.start()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end()) }()
	w := node.world(p, "reconnect", rabbitmq.Quorum)
	b, err := rabbitmq.Open(ctx, w.cfg)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()

	o := outage{
		broker:  b,
		kill:    node.Kill,
		restart: func() error { return node.Restart(ctx) },
		knock:   func(context.Context) (time.Time, error) { return knockRabbit(w) },
	}
	return o.seconds(ctx, p.duration(10*time.Second))
}

// knockRabbit sends a request as soon as the queue answers. It is cut off after
// 2 s: a channel that publishes to a quorum queue without a leader hangs.
func knockRabbit(w rabbitWorld) (at time.Time, err error) {
	var raw net.Conn
	conn, err := amqp.DialConfig(w.url, amqp.Config{Dial: func(network, addr string) (_ net.Conn, err error) {
		raw, err = amqp.DefaultDial(time.Second)(network, addr)
		return raw, err
	}})
	if err != nil {
		return at, err
	}
	defer func() { _ = raw.Close() }()
	cut := time.AfterFunc(2*time.Second, func() { _ = raw.Close() })
	defer cut.Stop()
	ch, err := conn.Channel()
	if err != nil {
		return at, err
	}
	if err := ch.Confirm(false); err != nil {
		return at, err
	}
	if _, there, err := ch.Get(w.queue, false); err != nil || there {
		return at, errors.Join(err, errors.New("the queue is not as it was before"))
	}
	at = time.Now()
	sent, err := ch.PublishWithDeferredConfirm("", w.queue, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent})
	if err != nil {
		return at, err
	}
	if !sent.Wait() {
		err = errors.New("RabbitMQ does not keep the message")
	}
	return at, err
}
