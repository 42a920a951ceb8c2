package nats

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker/internal/token"
)

// setup remembers which streams are there, until there is reason to doubt it: a
// new connection, or a publication that nobody confirms. (That nobody listens
// is no sign: a client that watches does.)
type setup struct {
	turn  chan struct{} // has one place; whoever is in it looks for streams
	ready [streamCount]atomic.Bool
}

type streamID int

const (
	requestsStream streamID = iota
	deadStream
	outcomesStream
	progressStream
	streamCount
)

func (s *setup) init() { s.turn = make(chan struct{}, 1) }

// doubt has all streams looked for again.
func (s *setup) doubt() {
	for i := range s.ready {
		s.ready[i].Store(false)
	}
}

// ensureStream creates a stream that is missing. When it has to look, it sees
// whether the stream takes a subject, unless that is empty.
func (b *Broker) ensureStream(ctx context.Context, id streamID, subject string) error {
	if b.setup.ready[id].Load() {
		return nil
	}
	select {
	case b.setup.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("nats: %w", ctx.Err())
	}
	defer func() { <-b.setup.turn }()
	if b.setup.ready[id].Load() {
		return nil
	}
	info, err := b.findStream(ctx, id)
	if err == nil && subject != "" {
		err = takes(info.Config, subject)
	}
	if err != nil {
		return err
	}
	b.setup.ready[id].Store(true)
	return nil
}

// findStream returns what NATS says of a stream. It creates it when it is
// missing and refuses one that would break promises.
func (b *Broker) findStream(ctx context.Context, id streamID) (*jetstream.StreamInfo, error) {
	want := b.streams()[id]
	info, err := b.askStream(ctx, want.Name)
	if isCode(err, codeNoStream) {
		if b.cfg.NoCreate {
			return nil, missingStream(want)
		}
		info, err = b.createStream(ctx, want)
		if isCode(err, codeStreamNameTaken) {
			info, err = b.askStream(ctx, want.Name) // another was faster, with other limits
		}
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", want.Name, b.advised(err))
	}
	return info, b.checkStream(id, info.Config)
}

func (b *Broker) streams() [streamCount]jetstream.StreamConfig {
	n := b.names
	common := func(cfg jetstream.StreamConfig) jetstream.StreamConfig {
		cfg.Storage = jetstream.FileStorage
		cfg.Replicas = b.cfg.Replicas
		cfg.Duplicates = 2 * time.Minute
		return cfg
	}
	return [...]jetstream.StreamConfig{
		requestsStream: common(jetstream.StreamConfig{
			Name:        n.requests,
			Description: "Requests that wait for an Occamy server or are with one",
			Subjects:    []string{n.prefix + ".request.*"},
			Retention:   jetstream.WorkQueuePolicy,
		}),
		deadStream: common(jetstream.StreamConfig{
			Name:        n.dead,
			Description: "Requests that an Occamy server rejected for good",
			Subjects:    []string{n.prefix + ".dead.*.*"},
		}),
		outcomesStream: common(jetstream.StreamConfig{
			Name:              n.outcomes,
			Description:       "How requests ended",
			Subjects:          []string{n.prefix + ".outcome.*"},
			MaxMsgsPerSubject: 1,
			MaxAge:            b.cfg.OutcomeAge,
		}),
		// The stream of a key-value bucket, as NATS's own tools make it.
		progressStream: common(jetstream.StreamConfig{
			Name:              n.progressStream(),
			Description:       "What running requests reported last",
			Subjects:          []string{"$KV." + n.bucket + ".>"},
			MaxMsgsPerSubject: 1,
			MaxAge:            b.cfg.ProgressAge,
			Discard:           jetstream.DiscardNew,
			AllowRollup:       true,
			DenyDelete:        true,
			AllowDirect:       true,
		}),
	}
}

// queue is the consumer of a kind.
type queue struct {
	kind     string
	pull     string // the subject of pull requests
	ackWait  time.Duration
	maxBatch int           // of a pull; 0: no limit
	maxWait  time.Duration // of a pull; 0: no limit
	maxBytes int           // that a pull may ask for; 0: no limit
}

const metaKind = "occamy-kind"

// ensureQueue creates the consumer of a kind, and the streams, if they are
// missing. slots is how many requests the server wants at a time.
//
// The consumer's name has the moment in which the stream was created, so that
// the ack of a delivery from a stream that was lost cannot hit a message of its
// successor, whose sequence numbers begin anew.
func (b *Broker) ensureQueue(ctx context.Context, kind string, slots int) (queue, error) {
	var q queue
	err := b.retry(ctx, func() (err error) {
		for id := range streamCount {
			if err := b.ensureStream(ctx, id, ""); err != nil {
				return err
			}
		}
		q, err = b.findQueue(ctx, kind, slots)
		return err
	})
	return q, err
}

func (b *Broker) findQueue(ctx context.Context, kind string, slots int) (queue, error) {
	requests, err := b.findStream(ctx, requestsStream)
	if err != nil {
		return queue{}, err
	}
	if err := takes(requests.Config, b.names.request(kind)); err != nil {
		return queue{}, err
	}
	want := jetstream.ConsumerConfig{
		Durable:       token.Of(kind) + "_" + strconv.FormatInt(requests.Created.UnixNano(), 36),
		Description:   "Requests of kind " + kind,
		FilterSubject: b.names.request(kind),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       b.cfg.AckWait,
		MaxDeliver:    -1, // the adapter counts, and publishes the dead letter
		MaxAckPending: -1, // one server's long tasks do not hold up another's
		MaxWaiting:    1 << 20,
		Metadata:      map[string]string{metaKind: kind},
	}
	info, err := b.findConsumer(ctx, want)
	if err != nil {
		return queue{}, fmt.Errorf("consumer of kind %q: %w", kind, b.advised(err))
	}
	if err := b.checkConsumer(info, want, slots); err != nil {
		return queue{}, err
	}
	return queue{
		kind:     kind,
		pull:     apiPrefix + "CONSUMER.MSG.NEXT." + b.names.requests + "." + info.Name,
		ackWait:  leaseOf(info.Config),
		maxBatch: info.Config.MaxRequestBatch,
		maxWait:  info.Config.MaxRequestExpires,
		maxBytes: info.Config.MaxRequestMaxBytes,
	}, nil
}

// leaseOf is how long NATS waits for word of a delivery.
func leaseOf(cfg jetstream.ConsumerConfig) time.Duration {
	wait := cfg.AckWait
	for _, d := range cfg.BackOff { // takes the place of AckWait
		wait = min(wait, d)
	}
	return wait
}

// findConsumer returns the consumer that gives out the messages of a subject:
// ours, one that an operator made under a name of his own, or one of a stream
// that was restored from a backup, which bears the name by which it was made.
func (b *Broker) findConsumer(ctx context.Context, want jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	stream := b.names.requests
	info, err := b.askConsumer(ctx, stream, want.Durable)
	if !isCode(err, codeNoConsumer) {
		return info, err
	}
	if b.cfg.NoCreate {
		return b.consumerByFilter(ctx, want.FilterSubject, missingConsumer(stream, want))
	}
	info, err = b.createConsumer(ctx, stream, want)
	switch {
	case isCode(err, codeConsumerTaken):
		return b.askConsumer(ctx, stream, want.Durable) // another was faster
	case isCode(err, codeFilterTaken, codeFilterlessTaken):
		return b.consumerByFilter(ctx, want.FilterSubject, err)
	}
	return info, err
}

// consumerByFilter returns missing when no consumer has messages with a subject.
func (b *Broker) consumerByFilter(ctx context.Context, subject string, missing error) (*jetstream.ConsumerInfo, error) {
	all, err := b.listConsumers(ctx, b.names.requests)
	if err != nil {
		return nil, err
	}
	var found *jetstream.ConsumerInfo
	for _, info := range all {
		if f := filtersOf(info.Config); len(f) == 0 || covers(f, subject) {
			found = &info
		}
	}
	if found == nil {
		return nil, missing
	}
	return found, nil
}
