package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker/nats"
)

// jetstreamIdleFamily: what a server adds to the way of a lone request.
func jetstreamIdleFamily() family {
	const name = "jetstream_idle"
	return family{
		rows: []row{{
			name: name, unit: "ms", goal: "≤ 1.2",
			about: "p50 from the publish until Do on an idle system, NATS in a process of its own over TCP; reference: until the bare client's callback, with the same publisher",
			extra: p99Note(name),
		}},
		value: func(p plan) (sample, error) {
			return jetstreamIdle(func(ctx context.Context, url string, client *nats.Broker) (_ sample, err error) {
				source, err := nats.Open(ctx, nats.Config{URL: url})
				if err != nil {
					return nil, err
				}
				defer func() { err = errors.Join(err, source.Close()) }()
				return serveIdle(ctx, p, name, client, source)
			})
		},
		reference: func(p plan) (sample, error) {
			return jetstreamIdle(func(ctx context.Context, url string, client *nats.Broker) (_ sample, err error) {
				// What is submitted first makes the stream.
				if err := fill(ctx, client, 1, nil); err != nil {
					return nil, err
				}
				first := true
				begun := make(chan time.Time, 1)
				acks := newAckers(ctx)
				stop, err := bareJetstream(ctx, url, rateKind, func(m jetstream.Msg) {
					if !first {
						begun <- time.Now()
					}
					first = false
					acks.all.Go(func() { acks.doubleAck(m) })
				})
				if err != nil {
					return nil, err
				}
				defer func() { err = errors.Join(err, stop(acks.wait)) }()
				return idleWaits(ctx, p, name, client, begun)
			})
		},
	}
}

func jetstreamIdle(measure func(ctx context.Context, url string, client *nats.Broker) (sample, error)) (sample, error) {
	return withNATS(func(ctx context.Context, url string) (_ sample, err error) {
		client, err := nats.Open(ctx, nats.Config{URL: url})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, client.Close()) }()
		return measure(ctx, url, client)
	})
}
