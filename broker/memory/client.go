package memory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Submit implements broker.Broker. The broker keeps a copy of r.
func (b *Broker) Submit(ctx context.Context, r broker.Request) error {
	w := b.world
	if err := errors.Join(r.Check(), w.fits("request", len(r.Body))); err != nil {
		return err
	}
	kept := &request{kind: r.Kind, id: r.ID, headers: r.WithKeys(w.opts.Keys), body: bytes.Clone(r.Body)}
	if err := b.enter(ctx); err != nil {
		return err
	}
	defer w.mu.Unlock()
	if !w.recent.seen(r.Kind, r.ID, time.Now()) {
		w.enqueue(kept)
	}
	return nil
}

// bury makes a request a dead letter.
func (w *world) bury(r *request, reason string) {
	delete(w.progress, r.id)
	w.seq++
	w.dead = append(w.dead, broker.DeadLetter{
		Key: fmt.Sprintf("dead-%d", w.seq), ID: r.id, Kind: r.kind, Reason: reason, Time: time.Now(),
		Attempts: r.deliveries, Headers: r.headers, Body: r.body,
	})
}

// copyOf has the caller free to change what it gets.
func copyOf(d broker.DeadLetter) broker.DeadLetter {
	d.Headers, d.Body = maps.Clone(d.Headers), bytes.Clone(d.Body)
	return d
}

// DeadLetters implements broker.Broker. They are kept until they are retried.
func (b *Broker) DeadLetters(ctx context.Context, limit int) ([]broker.DeadLetter, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	defer b.world.mu.Unlock()
	n := len(b.world.dead)
	if limit > 0 {
		n = min(n, limit)
	}
	all := make([]broker.DeadLetter, n)
	for i := range all {
		all[i] = copyOf(b.world.dead[i])
	}
	return all, nil
}

// findDead returns the index of the newest dead letter with the key or ID, -1
// when there is none.
func (w *world) findDead(id string) int {
	for i, d := range slices.Backward(w.dead) {
		if d.Key == id || d.ID == id {
			return i
		}
	}
	return -1
}

// DeadLetter implements broker.Broker.
func (b *Broker) DeadLetter(ctx context.Context, id string) (broker.DeadLetter, error) {
	if err := b.enter(ctx); err != nil {
		return broker.DeadLetter{}, err
	}
	defer b.world.mu.Unlock()
	i := b.world.findDead(id)
	if i < 0 {
		return broker.DeadLetter{}, fmt.Errorf("dead letter %q: %w", id, broker.ErrNotFound)
	}
	return copyOf(b.world.dead[i]), nil
}

// Retry implements broker.Broker.
func (b *Broker) Retry(ctx context.Context, id string) error {
	if err := b.enter(ctx); err != nil {
		return err
	}
	w := b.world
	defer w.mu.Unlock()
	i := w.findDead(id)
	if i < 0 {
		return fmt.Errorf("dead letter %q: %w", id, broker.ErrNotFound)
	}
	d := w.dead[i]
	w.dead = slices.Delete(w.dead, i, i+1)
	w.dropOutcome(d.ID)
	w.enqueue(&request{kind: d.Kind, id: d.ID, headers: d.Headers, body: d.Body})
	return nil
}

// Queues implements broker.Broker. A request that was put off counts as ready.
func (b *Broker) Queues(ctx context.Context) ([]broker.Queue, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	w := b.world
	defer w.mu.Unlock()
	all := make(map[string]broker.Queue, len(w.kinds))
	add := func(kind string, ready, unacked, dead int) {
		q := all[kind]
		all[kind] = broker.Queue{Kind: kind, Ready: q.Ready + ready, Unacked: q.Unacked + unacked, Dead: q.Dead + dead}
	}
	for kind, q := range w.kinds {
		add(kind, q.ready.len(), 0, 0)
	}
	for _, d := range w.delayed {
		add(d.request.kind, 1, 0, 0)
	}
	for d := range w.held.all() {
		add(d.request.kind, 0, 1, 0)
	}
	for _, d := range w.dead {
		add(d.Kind, 0, 0, 1)
	}
	return slices.SortedFunc(maps.Values(all), func(a, b broker.Queue) int { return cmp.Compare(a.Kind, b.Kind) }), nil
}

// Result implements broker.Broker. Outcomes are kept as Options.OutcomeAge and
// MaxOutcomes say.
func (b *Broker) Result(ctx context.Context, id string) (occamy.Outcome, error) {
	if err := b.enter(ctx); err != nil {
		return occamy.Outcome{}, err
	}
	defer b.world.mu.Unlock()
	o := b.world.outcome(id)
	if o == nil {
		return occamy.Outcome{}, fmt.Errorf("result of %q: %w", id, broker.ErrNotFound)
	}
	return *o, nil
}
