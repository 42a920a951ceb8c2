package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker/rabbitmq"
	"github.com/occamy-go/occamy/internal/rabbitnode"
)

// rabbit is the RabbitMQ node that the rounds of a family share.
type rabbit struct{ *rabbitnode.Node }

func (r *rabbit) start() (end func() error, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r.Node, err = rabbitnode.Start(ctx, rabbitnode.Config{})
	if err != nil {
		return nil, err
	}
	return r.Close, nil
}

// A rabbitWorld is the queues of one side in one round. Its names are those that
// package rabbitmq documents.
type rabbitWorld struct {
	url    string
	prefix string
	queue  string // of rateKind
	cfg    rabbitmq.Config
}

// world makes up the names for a side of a round.
func (r *rabbit) world(p plan, side string, queues rabbitmq.QueueType) rabbitWorld {
	prefix := fmt.Sprintf("%s-%s-%d", queues, side, p.round)
	return rabbitWorld{
		url: r.URL(), prefix: prefix, queue: prefix + ".request." + rateKind,
		cfg: rabbitmq.Config{URL: r.URL(), Prefix: prefix, QueueType: queues},
	}
}

// measure runs f with a client of package rabbitmq, and a bare channel to look
// at queues with.
func (w rabbitWorld) measure(f func(ctx context.Context, client *rabbitmq.Broker, look *amqp.Channel) (sample, error)) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	client, err := rabbitmq.Open(ctx, w.cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	conn, look, err := bareChannel(w.url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return f(ctx, client, look)
}

func bareChannel(url string) (*amqp.Connection, *amqp.Channel, error) {
	conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(time.Second)})
	if err != nil {
		return nil, nil, err
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, ch, nil
}

// bareRabbit consumes a queue as one does without Occamy: prefetch 64, and each
// message acked by itself once do has returned.
func bareRabbit(url, queue string, do func()) (stop func() error, err error) {
	conn, ch, err := bareChannel(url)
	if err != nil {
		return nil, err
	}
	if err := ch.Qos(rateSlots, 0, false); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	deliveries, err := ch.Consume(queue, "bare", false, false, false, false, nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	failed := make(chan error, 1)
	go func() {
		var err error
		for d := range deliveries {
			do()
			if e := d.Ack(false); e != nil && err == nil {
				err = fmt.Errorf("ack: %w", e)
			}
		}
		failed <- err
	}()
	return func() error {
		err := ch.Cancel("bare", false) // ends deliveries
		return errors.Join(err, <-failed, conn.Close())
	}, nil
}

// messages is how many wait in a queue, those that are with a consumer not.
func messages(look *amqp.Channel, queue string) (waiting, consumers int, err error) {
	q, err := look.QueueDeclarePassive(queue, true, false, false, false, nil)
	return q.Messages, q.Consumers, err
}

// allAcked is an error when a message is left in a queue that nobody consumes
// any more.
func allAcked(look *amqp.Channel, queue string) error {
	var failed error
	err := eventually("a queue without consumers", func() bool {
		_, consumers, err := messages(look, queue)
		failed = err
		return err != nil || consumers == 0
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	left, _, err := messages(look, queue)
	if err == nil && left > 0 {
		err = fmt.Errorf("%d messages were not acked", left)
	}
	return err
}
