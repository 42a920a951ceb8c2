package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Result implements broker.Broker.
func (b *Broker) Result(ctx context.Context, id string) (occamy.Outcome, error) {
	if err := b.usable(); err != nil {
		return occamy.Outcome{}, err
	}
	s, err := b.lastBySubject(ctx, b.names.outcomes, b.names.outcome(id))
	if err != nil {
		return occamy.Outcome{}, fmt.Errorf("result of %q: %w", id, err)
	}
	return broker.DecodeOutcome(s.Data)
}

// watching is one call of Watch.
type watching struct {
	b    *Broker
	id   string
	wake chan struct{} // something came

	mu       sync.Mutex
	progress *[]byte // the newest that was not told yet
	ended    bool    // an outcome was published
}

// Watch implements broker.Broker. It begins with the progress that is kept.
func (b *Broker) Watch(ctx context.Context, id string) (<-chan broker.Event, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	w := &watching{b: b, id: id, wake: make(chan struct{}, 1)}
	subs, err := w.subscribe()
	leave := func() {
		for _, sub := range subs {
			_ = sub.Unsubscribe() // fails only when the connection is gone
		}
		end()
	}
	if err == nil {
		// What is published from now on comes to us; what was before is kept.
		err = b.retry(ctx, func() error { return b.flush(ctx) })
	}
	if err != nil {
		leave()
		return nil, err
	}
	link := b.link.watch(nil)
	events := make(chan broker.Event)
	go func() {
		defer close(events)
		defer leave()
		defer b.link.unwatch(link)
		w.run(ctx, events, link.connected)
	}()
	return events, nil
}

func (w *watching) subscribe() (subs []*natsgo.Subscription, err error) {
	n := w.b.names
	for subject, take := range map[string]func(*natsgo.Msg){
		n.outcome(w.id):  func(*natsgo.Msg) { w.note(nil, true) },
		n.progress(w.id): func(m *natsgo.Msg) { w.note(m, false) },
	} {
		sub, err := w.b.nc.Subscribe(subject, take)
		if err != nil {
			return subs, w.b.publishError(err)
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

func (w *watching) note(progress *natsgo.Msg, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if progress != nil && first(progress.Header, "KV-Operation") == "" {
		w.progress = &progress.Data
	}
	w.ended = w.ended || ended
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watching) run(ctx context.Context, events chan<- broker.Event, connected <-chan struct{}) {
	tell := func(e broker.Event) bool {
		select {
		case events <- e:
			return true
		case <-ctx.Done():
			return false
		}
	}
	look := true
	for {
		if look {
			// At the start, and after the connection was lost.
			over, err := w.look(ctx, tell)
			if over || err != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-connected:
			look = true
			continue
		case <-w.wake:
			look = false
		}
		w.mu.Lock()
		progress, ended := w.progress, w.ended
		w.progress, w.ended = nil, false
		w.mu.Unlock()
		if progress != nil && !tell(broker.Event{Progress: *progress}) {
			return
		}
		if ended && w.outcome(ctx, tell) {
			return
		}
	}
}

// look tells what is kept. over is set when that was the outcome.
func (w *watching) look(ctx context.Context, tell func(broker.Event) bool) (over bool, err error) {
	o, err := w.b.Result(ctx, w.id)
	if err == nil {
		tell(broker.Event{Outcome: &o})
		return true, nil
	}
	if !errors.Is(err, broker.ErrNotFound) {
		return false, err
	}
	progress, err := w.b.lastProgress(ctx, w.id)
	if err != nil {
		return false, err
	}
	w.mu.Lock()
	newer := w.progress != nil
	w.mu.Unlock()
	if progress != nil && !newer && !tell(broker.Event{Progress: progress}) {
		return true, nil
	}
	return false, nil
}

// outcome waits until the stream keeps the outcome that was seen on its way,
// so that whoever is told finds it there, and tells it. NATS may refuse it;
// then the server publishes it again.
func (w *watching) outcome(ctx context.Context, tell func(broker.Event) bool) bool {
	for try := range 10 {
		o, err := w.b.Result(ctx, w.id)
		if err == nil {
			tell(broker.Event{Outcome: &o})
			return true
		}
		if !errors.Is(err, broker.ErrNotFound) || w.b.link.pause(ctx, backoff(try)) != nil {
			return ctx.Err() != nil
		}
	}
	return false
}
