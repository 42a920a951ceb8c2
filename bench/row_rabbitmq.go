package main

import (
	"context"
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// rabbitmqFamily: how many requests pass through a server from RabbitMQ.
func rabbitmqFamily(name string, queues rabbitmq.QueueType) family {
	var node rabbit
	of := func(whose string, consume func(ctx context.Context, w rabbitWorld, r *rate, settled func() (bool, error)) (sample, error)) side {
		return func(p plan) (sample, error) {
			w := node.world(p, whose, queues)
			return w.measure(func(ctx context.Context, client *rabbitmq.Broker, look *amqp.Channel) (sample, error) {
				n := p.count(30_000)
				if err := fill(ctx, client, n, nil); err != nil {
					return nil, err
				}
				got, err := consume(ctx, w, newRate(name, n), func() (bool, error) {
					waiting, _, err := messages(look, w.queue)
					return waiting == 0, err
				})
				return got, errors.Join(err, allAcked(look, w.queue))
			})
		}
	}
	return family{
		rows: []row{{
			name: name, unit: "requests/s", goal: "≥ 0.9", extra: rateNote(name),
			about: "no-op requests from a full " + string(queues) + " queue through 64 slots; reference: the bare client on such a queue, prefetch 64, each message acked by itself",
		}},
		rabbitmq: true, begin: node.start,
		value: of("server", func(ctx context.Context, w rabbitWorld, r *rate, settled func() (bool, error)) (_ sample, err error) {
			source, err := rabbitmq.Open(ctx, w.cfg)
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, source.Close()) }()
			return serveRate(ctx, r, source, settled)
		}),
		reference: of("bare", func(_ context.Context, w rabbitWorld, r *rate, settled func() (bool, error)) (_ sample, err error) {
			stop, err := bareRabbit(w.url, w.queue, r.step)
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, stop()) }()
			return r.sample(settled)
		}),
	}
}

// rabbitmqIdleFamily: what a server adds to the way of a lone request.
func rabbitmqIdleFamily(name string, queues rabbitmq.QueueType) family {
	var node rabbit
	return family{
		rows: []row{{
			name: name, unit: "ms", goal: "≤ 1.2",
			about: "p50 from the publish until Do on an idle system, through a " + string(queues) + " queue; reference: until the bare client's delivery, with the same publisher",
			extra: p99Note(name),
		}},
		rabbitmq: true, begin: node.start,
		value: func(p plan) (sample, error) {
			w := node.world(p, "server", queues)
			return w.measure(func(ctx context.Context, client *rabbitmq.Broker, _ *amqp.Channel) (_ sample, err error) {
				source, err := rabbitmq.Open(ctx, w.cfg)
				if err != nil {
					return nil, err
				}
				defer func() { err = errors.Join(err, source.Close()) }()
				return serveIdle(ctx, p, name, client, source)
			})
		},
		reference: func(p plan) (sample, error) {
			w := node.world(p, "bare", queues)
			return w.measure(func(ctx context.Context, client *rabbitmq.Broker, look *amqp.Channel) (_ sample, err error) {
				// What is submitted first makes the queue.
				if err := fill(ctx, client, 1, nil); err != nil {
					return nil, err
				}
				if _, err := look.QueuePurge(w.queue, false); err != nil {
					return nil, err
				}
				begun := make(chan time.Time, 1)
				stop, err := bareRabbit(w.url, w.queue, func() { begun <- time.Now() })
				if err != nil {
					return nil, err
				}
				defer func() { err = errors.Join(err, stop()) }()
				return idleWaits(ctx, p, name, client, begun)
			})
		},
	}
}
