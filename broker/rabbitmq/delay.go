package rabbitmq

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A message that is to wait lies in a queue whose messages expire after the
// delay, and go on to the queue of their kind. There is a queue for each of four
// delays in an octave, so a delay is at most a fifth longer than was asked. They
// stay: one that expired would take with it what waits there.
const (
	minDelay = 10 * time.Millisecond
	maxDelay = 20 * 24 * time.Hour
)

// delayBucket is the shortest delay of those that have a queue, in whole
// milliseconds, that is not below d.
func delayBucket(d time.Duration) time.Duration {
	d = min(max(d, minDelay), maxDelay)
	ms := float64(d) / float64(time.Millisecond)
	step := math.Floor(4*math.Log2(ms)) - 1
	for ; ; step++ {
		if bucket := time.Duration(math.Ceil(math.Exp2(step/4))) * time.Millisecond; bucket >= d {
			return bucket
		}
	}
}

// publishDelayed publishes a request that is not to be delivered before the
// delay is over.
func (b *Broker) publishDelayed(ctx context.Context, kind string, delay time.Duration, msg amqp.Publishing) error {
	msg.DeliveryMode = amqp.Persistent
	name, q := b.delayQueue(delay)
	for try := 0; ; try++ {
		err := b.ensureExchange(ctx, name, amqp.ExchangeFanout)
		if err == nil {
			err = b.ensureQueue(ctx, q)
		}
		if err != nil {
			return err
		}
		err = b.publish(ctx, name, b.names.requestKey(kind), true, msg)
		if !errors.Is(err, errNoRoute) {
			return err
		}
		b.setup.reset()
		if err := b.pause(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

func (b *Broker) delayQueue(delay time.Duration) (name string, q queue) {
	ms := delayBucket(delay).Milliseconds()
	name = b.names.delay(strconv.FormatInt(ms, 10))
	args := b.ofType(amqp.Table{
		"x-message-ttl":          ms,
		"x-dead-letter-exchange": b.names.requests,
	})
	if b.cfg.QueueType == Quorum {
		args["x-dead-letter-strategy"] = "at-least-once"
		args["x-overflow"] = "reject-publish"
	}
	return name, queue{name: name, args: args, exchange: name}
}
