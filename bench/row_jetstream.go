package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker/nats"
)

// jetstreamFamily: how many requests pass through a server from JetStream.
func jetstreamFamily() family {
	return family{
		rows: []row{{
			name: "jetstream", unit: "requests/s", goal: "≥ 0.9", extra: rateNote("jetstream"),
			about: "no-op requests from a full queue through 64 slots, each confirmed by a double ack, NATS in a process of its own over TCP; reference: the bare client on the same queue, PullMaxMessages(64), double acks by 64 goroutines",
		}},
		value:     func(p plan) (sample, error) { return jetstreamRate(p, serveJetstream) },
		reference: func(p plan) (sample, error) { return jetstreamRate(p, bareJetstreamRate) },
	}
}

// The names by which package nats keeps requests; its documentation has them.
const (
	natsStream  = "OCCAMY_REQUESTS"
	natsSubject = "occamy.request."
)

// jetstreamRate fills the queue, has it consumed, and sees to it that nothing
// is left.
func jetstreamRate(p plan, consume func(ctx context.Context, url string, r *rate, settled func() (bool, error)) (sample, error)) (sample, error) {
	return withNATS(func(ctx context.Context, url string) (_ sample, err error) {
		b, err := nats.Open(ctx, nats.Config{URL: url})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		n := p.count(50_000)
		if err := fill(ctx, b, n, nil); err != nil {
			return nil, err
		}
		nc, err := natsgo.Connect(url)
		if err != nil {
			return nil, err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return nil, err
		}
		stream, err := js.Stream(ctx, natsStream)
		if err != nil {
			return nil, err
		}
		return consume(ctx, url, newRate("jetstream", n), func() (bool, error) {
			// A work queue drops a message with its ack.
			info, err := stream.Info(ctx)
			return err == nil && info.State.Msgs == 0, err
		})
	})
}

func serveJetstream(ctx context.Context, url string, r *rate, settled func() (bool, error)) (_ sample, err error) {
	source, err := nats.Open(ctx, nats.Config{URL: url})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	return serveRate(ctx, r, source, settled)
}

func bareJetstreamRate(ctx context.Context, url string, r *rate, settled func() (bool, error)) (_ sample, err error) {
	acks := newAckers(ctx)
	messages := make(chan jetstream.Msg)
	for range rateSlots {
		acks.all.Go(func() {
			for m := range messages {
				r.step()
				acks.doubleAck(m)
			}
		})
	}
	stop, err := bareJetstream(ctx, url, rateKind, func(m jetstream.Msg) { messages <- m })
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, stop(func() error {
			close(messages)
			return acks.wait()
		}))
	}()
	return r.sample(settled)
}

// bareJetstream consumes a kind as one does without Occamy, with a consumer as
// package nats makes it. stop calls drain between the last callback and the end
// of the connection.
func bareJetstream(ctx context.Context, url, kind string, callback func(jetstream.Msg)) (stop func(drain func() error) error, err error) {
	nc, err := natsgo.Connect(url)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, natsStream, jetstream.ConsumerConfig{
		Durable: "bare", FilterSubject: natsSubject + kind,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxAckPending: -1,
	})
	if err != nil {
		return nil, err
	}
	consuming, err := consumer.Consume(callback, jetstream.PullMaxMessages(rateSlots))
	if err != nil {
		return nil, err
	}
	return func(drain func() error) error {
		defer nc.Close()
		consuming.Stop()
		<-consuming.Closed()
		return drain()
	}, nil
}

// ackers ack side by side, and keep the first error.
type ackers struct {
	ctx context.Context
	all sync.WaitGroup
	mu  sync.Mutex
	err error // guarded by mu
}

func newAckers(ctx context.Context) *ackers { return &ackers{ctx: ctx} }

// doubleAck returns when NATS has confirmed the ack.
func (a *ackers) doubleAck(m jetstream.Msg) {
	if err := m.DoubleAck(a.ctx); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.err = errors.Join(a.err, fmt.Errorf("double ack: %w", err))
	}
}

func (a *ackers) wait() error {
	a.all.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
