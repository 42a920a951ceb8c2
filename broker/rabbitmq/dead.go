package rabbitmq

import (
	"context"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker"
)

// DeadLetters implements broker.Broker.
func (b *Broker) DeadLetters(ctx context.Context, limit int) ([]broker.DeadLetter, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	kinds, err := b.allKinds(ctx)
	if err != nil {
		return nil, err
	}
	letters := []broker.DeadLetter{}
	for _, q := range b.deadQueues(kinds) {
		some, err := browse(ctx, b, q.name, limit, func(amqp.Delivery) bool { return true }, func(_ *shelf, kept []amqp.Delivery) ([]broker.DeadLetter, error) {
			var some []broker.DeadLetter
			for _, d := range kept {
				some = append(some, q.letter(&d, b.cfg.Keys))
			}
			return some, nil
		})
		if err != nil {
			return nil, fmt.Errorf("dead letters: %w", err)
		}
		letters = append(letters, some...)
	}
	slices.SortStableFunc(letters, func(a, b broker.DeadLetter) int { return a.Time.Compare(b.Time) })
	if limit > 0 && len(letters) > limit {
		letters = letters[:limit]
	}
	return letters, nil
}

// deadQueue is a queue of dead letters. kind is empty when several kinds share
// it, as a program that declares its own queues may have it.
type deadQueue struct {
	name string
	kind string
}

func (b *Broker) deadQueues(kinds []string) (queues []deadQueue) {
	for _, kind := range kinds {
		name := b.names.deadQueue(kind)
		i := slices.IndexFunc(queues, func(q deadQueue) bool { return q.name == name })
		if i >= 0 {
			queues[i].kind = ""
			continue
		}
		queues = append(queues, deadQueue{name, kind})
	}
	return queues
}

// DeadLetter implements broker.Broker.
func (b *Broker) DeadLetter(ctx context.Context, id string) (broker.DeadLetter, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return broker.DeadLetter{}, err
	}
	defer end()
	_, letter, err := b.findDead(ctx, id)
	return letter, err
}

// findDead returns the newest dead letter that has a key or request ID, and the
// queue that has it.
func (b *Broker) findDead(ctx context.Context, id string) (deadQueue, broker.DeadLetter, error) {
	kinds, err := b.allKinds(ctx)
	if err != nil {
		return deadQueue{}, broker.DeadLetter{}, err
	}
	var (
		newest *broker.DeadLetter
		in     deadQueue
	)
	for _, q := range b.deadQueues(kinds) {
		some, err := browse(ctx, b, q.name, 0, q.named(id, b), func(_ *shelf, kept []amqp.Delivery) ([]broker.DeadLetter, error) {
			var some []broker.DeadLetter
			for _, d := range kept {
				some = append(some, q.letter(&d, b.cfg.Keys))
			}
			return some, nil
		})
		if err != nil {
			return deadQueue{}, broker.DeadLetter{}, fmt.Errorf("dead letter %q: %w", id, err)
		}
		for _, l := range some {
			if newest == nil || !l.Time.Before(newest.Time) {
				newest, in = &l, q
			}
		}
	}
	if newest == nil {
		return deadQueue{}, broker.DeadLetter{}, fmt.Errorf("dead letter %q: %w", id, broker.ErrNotFound)
	}
	return in, *newest, nil
}

// named says which letters have a key or request ID.
func (q deadQueue) named(id string, b *Broker) func(amqp.Delivery) bool {
	return func(d amqp.Delivery) bool {
		return letterID(d.Headers, b.cfg.Keys) == id || letterKey(&d, b.cfg.Keys) == id
	}
}

// Retry implements broker.Broker. The request bears its old ID, and goes to the
// end of its queue.
func (b *Broker) Retry(ctx context.Context, id string) error {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	q, letter, err := b.findDead(ctx, id)
	if err != nil {
		return err
	}
	if err := broker.CheckKind(letter.Kind); err != nil {
		return fmt.Errorf("dead letter %q: its kind: %w", id, err)
	}
	_, err = browse(ctx, b, q.name, 0, q.named(letter.Key, b), b.resubmit(ctx, q, letter.Key))
	return err
}

// resubmit submits a letter and then removes it. It may be called again when the
// connection is lost meanwhile.
func (b *Broker) resubmit(ctx context.Context, q deadQueue, key string) func(*shelf, []amqp.Delivery) (struct{}, error) {
	submitted := false
	return func(s *shelf, kept []amqp.Delivery) (none struct{}, err error) {
		if len(kept) == 0 && submitted {
			return none, nil
		}
		if len(kept) == 0 {
			return none, fmt.Errorf("dead letter %q: %w: somebody else retried or removed it just now", key, broker.ErrNotFound)
		}
		d := kept[len(kept)-1]
		if !submitted {
			if err := b.submitAgain(ctx, q.letter(&d, b.cfg.Keys), d); err != nil {
				return none, err
			}
			submitted = true
		}
		return none, s.ack(d)
	}
}

// submitAgain submits the request of a letter as a first attempt. What it left
// is removed before, since a server may settle it before we go on.
func (b *Broker) submitAgain(ctx context.Context, letter broker.DeadLetter, d amqp.Delivery) error {
	if letter.ID != "" {
		if err := b.removeOutcome(ctx, letter.ID); err != nil {
			return err
		}
		if err := b.removeProgress(ctx, letter.ID); err != nil {
			return err
		}
	}
	h := userHeaders(d.Headers)
	return b.publishRequest(ctx, letter.Kind, amqp.Publishing{
		Headers: h, Body: d.Body, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, Priority: d.Priority,
	})
}
