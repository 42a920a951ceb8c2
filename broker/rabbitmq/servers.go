package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/internal/packed"
)

// replyTo is AMQP's way to have an answer without a queue. Each answer goes to a
// name that begins so, and to nothing else, whoever asks.
const replyTo = "amq.rabbitmq.reply-to"

// answer is what a server says when asked.
type answer struct {
	occamy.Snapshot
	// Unacked is how many requests of each kind the broker has given to the
	// server and not heard of since.
	Unacked map[string]int `json:"unacked"`
}

// maxAnswers bounds how many answers one question keeps.
const maxAnswers = 1 << 16

// answerTime is how long a server tries to answer.
const answerTime = 2 * time.Second

func (d *desk) answer(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case to := <-d.asked:
			if err := d.answerTo(ctx, to); err != nil && ctx.Err() == nil && !errors.Is(err, errNoRoute) {
				d.b.cfg.OnError(fmt.Errorf("rabbitmq: send the snapshot: %w", err))
			}
		}
	}
}

func (d *desk) answerTo(ctx context.Context, to string) error {
	if !strings.HasPrefix(to, replyTo+".") {
		return fmt.Errorf("the answer is to go to %.60q, which is no place for answers", to)
	}
	body, err := packed.Marshal(answer{d.in.Snapshot(), d.unacked()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return d.b.publish(ctx, "", to, true, amqp.Publishing{Body: body})
}

// The presence queue never holds a message. Each server consumes from it, so the
// broker can say how many there are.
func (b *Broker) ensurePresence(ctx context.Context) error {
	return b.ensureQueue(ctx, queue{name: b.names.servers, args: b.ofType(amqp.Table{})})
}

func (b *Broker) present(s *sitting) error {
	if err := s.binding.Qos(1, 0, false); err != nil {
		return err
	}
	nothing, err := s.binding.Consume(b.names.servers, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	go func() { // ends with the channel
		for d := range nothing { // what somebody else published is of no use to anybody
			_ = d.Ack(false) // a failure ends the channel
		}
		s.fail(errCut)
	}()
	return nil
}

// howMany is how many servers there are, as the broker sees it.
func (b *Broker) howMany(ctx context.Context) (int, error) {
	q, err := ask(ctx, b, func(ch *amqp.Channel) (amqp.Queue, error) {
		return ch.QueueDeclarePassive(b.names.servers, true, false, false, false, nil)
	})
	if notFound(err) {
		return 0, nil
	}
	return q.Consumers, err
}

// Servers implements broker.Broker. It returns before wait is over when all
// servers have answered.
func (b *Broker) Servers(ctx context.Context, wait time.Duration) ([]occamy.Snapshot, error) {
	answers, err := b.askServers(ctx, wait)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]occamy.Snapshot, len(answers))
	for _, a := range answers {
		byID[a.Server] = a.Snapshot
	}
	out := make([]occamy.Snapshot, 0, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		out = append(out, byID[id])
	}
	return out, nil
}

func (b *Broker) askServers(ctx context.Context, wait time.Duration) ([]answer, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return retry(ctx, b, func() ([]answer, error) {
		if err := b.ensureExchange(ctx, b.names.control, amqp.ExchangeDirect); err != nil {
			return nil, err
		}
		n, err := b.howMany(ctx)
		if err != nil {
			return nil, err
		}
		q, err := b.question(ctx)
		if err != nil {
			return nil, err
		}
		defer q.leave()
		return q.gather(ctx, n, wait)
	})
}

// question is one that all servers get.
type question struct {
	b       *Broker
	ch      *amqp.Channel
	answers <-chan amqp.Delivery
	returns chan amqp.Return
}

// question asks. It is the connection for publishing that asks, since the broker
// may stop reading from whoever publishes.
func (b *Broker) question(ctx context.Context) (*question, error) {
	if err := b.untilFree(ctx); err != nil {
		return nil, err
	}
	conn, err := b.out.wait(ctx)
	if err != nil {
		return nil, err
	}
	return abandon(ctx, func() (*question, error) {
		ch, err := conn.Channel()
		if err != nil {
			return nil, err
		}
		q := &question{b: b, ch: ch, returns: ch.NotifyReturn(make(chan amqp.Return, 1))}
		q.answers, err = ch.Consume(replyTo, "", true, true, false, false, nil)
		if err == nil {
			err = ch.Publish(b.names.control, serversKey, true, false, amqp.Publishing{ReplyTo: replyTo})
		}
		if err != nil {
			q.leave()
			return nil, err
		}
		return q, nil
	}, (*question).leave)
}

func (q *question) leave() { go func() { _ = q.ch.Close() }() }

// gather returns what n servers answer, or those that do within wait. n is 0
// when it is not known.
func (q *question) gather(ctx context.Context, n int, wait time.Duration) ([]answer, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	answers := []answer{}
	for {
		select {
		case d, ok := <-q.answers:
			if !ok {
				return nil, errCut
			}
			var a answer
			if err := packed.Unmarshal(d.Body, &a); err != nil {
				q.b.cfg.OnError(fmt.Errorf("rabbitmq: unreadable snapshot: %w", err))
				continue
			}
			answers = append(answers, a)
			if len(answers) == n || len(answers) == maxAnswers {
				return answers, nil
			}
		case _, ok := <-q.returns:
			if !ok {
				return nil, errCut
			}
			return answers, nil // nobody is there, as the broker knows at once
		case <-over.C:
			return answers, nil
		case <-ctx.Done():
			return nil, q.b.in.inVain(ctx)
		}
	}
}
