package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/internal/token"
)

// Outcomes are kept in streams, each in the one that the hash of its ID says:
// nothing but a stream takes any number of them at the price of a message, and
// a queue for each would cost more than its request. Whoever wants one looks
// through the stream; the last one of its ID counts.
const (
	outcomeStreams = 32
	segmentBytes   = 16 << 20 // the age of a stream is cut by segments
	streamBytes    = 1 << 30
)

// Types of messages in a stream.
const (
	typeOutcome = "outcome"
	typeRemoved = "removed" // says that the outcomes before it do not count
	typeMark    = "mark"    // says to who put it that there is nothing before it that it has not seen
)

const filterValue = "x-stream-filter-value"

func streamOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() % outcomeStreams)
}

// publishOutcome returns once the broker has confirmed that it keeps o. Whoever
// watches the request gets it at the same time; replyTo is what the request bears.
func (b *Broker) publishOutcome(ctx context.Context, o occamy.Outcome, replyTo string) error {
	body, err := broker.EncodeOutcome(o)
	if err != nil {
		return err
	}
	return b.publishToStream(ctx, o.ID, amqp.Publishing{
		Type:    typeOutcome,
		Headers: amqp.Table{hdrID: o.ID, filterValue: token.Of(o.ID), "BCC": watchers(o.ID, replyTo)},
		Body:    body,
	})
}

// removeOutcome has the outcomes of id that there are no longer count.
func (b *Broker) removeOutcome(ctx context.Context, id string) error {
	return b.publishToStream(ctx, id, amqp.Publishing{
		Type:    typeRemoved,
		Headers: amqp.Table{hdrID: id, filterValue: token.Of(id)},
	})
}

func (b *Broker) publishToStream(ctx context.Context, id string, msg amqp.Publishing) error {
	n := streamOf(id)
	msg.DeliveryMode = amqp.Persistent
	for try := 0; ; try++ {
		if err := b.ensureStream(ctx, n); err != nil {
			return err
		}
		err := b.publishBy(ctx, b.streams[n], b.names.event, outcomeKey(n), true, msg)
		if !errors.Is(err, errNoRoute) {
			return err
		}
		b.setup.reset()
		if err := b.pause(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

func (b *Broker) ensureStream(ctx context.Context, n int) error {
	if err := b.ensureExchange(ctx, b.names.event, amqp.ExchangeDirect); err != nil {
		return err
	}
	return b.ensureQueue(ctx, queue{
		name: b.names.outcomeStream(n),
		args: amqp.Table{
			amqp.QueueTypeArg:                 amqp.QueueTypeStream,
			"x-max-age":                       fmt.Sprintf("%ds", int64(max(b.cfg.OutcomeAge/time.Second, 1))),
			"x-max-length-bytes":              int64(streamBytes),
			"x-stream-max-segment-size-bytes": int64(segmentBytes),
		},
		exchange: b.names.event, key: outcomeKey(n),
		missing: b.streams[n].close, // the next one counts from 1
	})
}

// Result implements broker.Broker.
func (b *Broker) Result(ctx context.Context, id string) (occamy.Outcome, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return occamy.Outcome{}, err
	}
	defer end()
	found, err := b.looks.look(ctx, b, id, 0)
	if err == nil && found.outcome == nil {
		err = broker.ErrNotFound
	}
	if err != nil {
		return occamy.Outcome{}, fmt.Errorf("result of %q: %w", id, err)
	}
	return *found.outcome, nil
}
