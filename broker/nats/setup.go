package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/broker/internal/token"
)

// setup remembers that the streams are there, until there is reason to doubt
// it: a new connection, or a publication that nobody confirms. (That nobody
// listens is no sign: a client that watches does.)
type setup struct {
	mu    sync.Mutex // held while they are looked for
	ready atomic.Bool
}

// ensureStreams creates the streams that are missing.
func (b *Broker) ensureStreams(ctx context.Context) error {
	if b.setup.ready.Load() {
		return nil
	}
	b.setup.mu.Lock()
	defer b.setup.mu.Unlock()
	if b.setup.ready.Load() {
		return nil
	}
	for _, cfg := range b.streams() {
		err := once(ctx, func(ctx context.Context) error {
			_, err := b.stream(ctx, cfg)
			return err
		})
		if err != nil {
			return err
		}
	}
	b.setup.ready.Store(true)
	return nil
}

// stream returns what NATS says of a stream and creates it when it is missing.
func (b *Broker) stream(ctx context.Context, cfg jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	s, err := b.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = b.js.CreateStream(ctx, cfg)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = b.js.Stream(ctx, cfg.Name) // another was faster, with other limits
		}
	}
	if err != nil {
		return nil, fmt.Errorf("nats: stream %s: %w", cfg.Name, err)
	}
	return s.CachedInfo(), nil
}

func (b *Broker) streams() []jetstream.StreamConfig {
	n := b.names
	common := func(cfg jetstream.StreamConfig) jetstream.StreamConfig {
		cfg.Storage = jetstream.FileStorage
		cfg.Replicas = b.cfg.Replicas
		cfg.Duplicates = 2 * time.Minute
		return cfg
	}
	return []jetstream.StreamConfig{
		common(jetstream.StreamConfig{
			Name:        n.requests,
			Description: "Requests that wait for an Occamy server or are with one",
			Subjects:    []string{n.prefix + ".request.*"},
			Retention:   jetstream.WorkQueuePolicy,
		}),
		common(jetstream.StreamConfig{
			Name:        n.dead,
			Description: "Requests that an Occamy server rejected for good",
			Subjects:    []string{n.prefix + ".dead.*.*"},
		}),
		common(jetstream.StreamConfig{
			Name:              n.outcomes,
			Description:       "How requests ended",
			Subjects:          []string{n.prefix + ".outcome.*"},
			MaxMsgsPerSubject: 1,
			MaxAge:            b.cfg.OutcomeAge,
		}),
		// The stream of a key-value bucket, as NATS's own tools make it.
		common(jetstream.StreamConfig{
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
	kind    string
	pull    string // the subject of pull requests
	ackWait time.Duration
}

const metaKind = "occamy-kind"

// ensureQueue creates the consumer of a kind if it is missing.
//
// Its name has the moment in which the stream was created, so that the ack of a
// delivery from a stream that was lost cannot hit a message of its successor,
// whose sequence numbers begin anew.
func (b *Broker) ensureQueue(ctx context.Context, kind string) (queue, error) {
	var q queue
	err := b.retry(ctx, func() error {
		if err := b.ensureStreams(ctx); err != nil {
			return err
		}
		return once(ctx, func(ctx context.Context) (err error) {
			q, err = b.findQueue(ctx, kind)
			return err
		})
	})
	return q, err
}

func (b *Broker) findQueue(ctx context.Context, kind string) (queue, error) {
	requests, err := b.stream(ctx, b.streams()[0])
	if err != nil {
		return queue{}, err
	}
	name := token.Of(kind) + "_" + strconv.FormatInt(requests.Created.UnixNano(), 36)
	info, err := b.consumer(ctx, kind, name)
	if err != nil {
		return queue{}, fmt.Errorf("nats: consumer of kind %q: %w", kind, err)
	}
	return queue{
		kind:    kind,
		pull:    "$JS.API.CONSUMER.MSG.NEXT." + b.names.requests + "." + info.Name,
		ackWait: info.Config.AckWait,
	}, nil
}

func (b *Broker) consumer(ctx context.Context, kind, name string) (*jetstream.ConsumerInfo, error) {
	c, err := b.js.Consumer(ctx, b.names.requests, name)
	if err == nil {
		return c.CachedInfo(), nil
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	c, err = b.js.CreateConsumer(ctx, b.names.requests, jetstream.ConsumerConfig{
		Durable:       name,
		Description:   "Requests of kind " + kind,
		FilterSubject: b.names.request(kind),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       b.cfg.AckWait,
		MaxDeliver:    -1, // the adapter counts, and publishes the dead letter
		MaxAckPending: -1, // one server's long tasks do not hold up another's
		MaxWaiting:    1 << 20,
		Metadata:      map[string]string{metaKind: kind},
	})
	var api *jetstream.APIError
	switch {
	case err == nil:
		return c.CachedInfo(), nil
	case errors.Is(err, jetstream.ErrConsumerExists):
		if c, err = b.js.Consumer(ctx, b.names.requests, name); err != nil {
			return nil, err
		}
		return c.CachedInfo(), nil
	case errors.As(err, &api) && api.ErrorCode == codeFilterTaken:
		return b.consumerByFilter(ctx, b.names.request(kind), err)
	}
	return nil, err
}

// codeFilterTaken: a work queue has a consumer with that filter already.
const codeFilterTaken = 10100

// consumerByFilter finds the consumer of a stream that was restored from a
// backup: it bears the name by which it was made.
func (b *Broker) consumerByFilter(ctx context.Context, filter string, cause error) (*jetstream.ConsumerInfo, error) {
	s, err := b.js.Stream(ctx, b.names.requests)
	if err != nil {
		return nil, err
	}
	list := s.ListConsumers(ctx)
	var found *jetstream.ConsumerInfo
	for info := range list.Info() {
		if info.Config.FilterSubject == filter {
			found = info
		}
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, cause
	}
	return found, nil
}
