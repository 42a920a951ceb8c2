package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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
	mail chan *natsgo.Msg // progress and outcomes, as they are published
	wake chan struct{}    // something came

	caught chan struct{} // answers catchUp; holds one

	// Only run uses these.
	tell func(broker.Event) bool // false when ctx has ended
	told bool                    // progress, since there is a connection

	mu       sync.Mutex
	progress *[]byte // the newest that was not told yet
	ended    bool    // an outcome was published
}

// mailRoom is how many messages may wait for the goroutine that does nothing
// but take them.
const mailRoom = 1024

// Watch implements broker.Broker. It begins with the progress that is kept.
func (b *Broker) Watch(ctx context.Context, id string) (<-chan broker.Event, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	w := &watching{b: b, id: id, mail: make(chan *natsgo.Msg, mailRoom), wake: make(chan struct{}, 1), caught: make(chan struct{}, 1)}
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
		reading, stop := context.WithCancel(ctx)
		var reader sync.WaitGroup
		defer reader.Wait()
		defer stop()
		reader.Go(func() { w.read(reading) })
		w.run(ctx, events, link.connected)
	}()
	return events, nil
}

func (w *watching) subscribe() (subs []*natsgo.Subscription, err error) {
	for _, subject := range []string{w.b.names.progress(w.id), w.b.names.outcome(w.id)} {
		sub, err := w.b.nc.ChanSubscribe(subject, w.mail)
		if err != nil {
			return subs, w.b.publishError(err)
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

// read notes what comes, so that a slow receiver of the events holds nothing up.
func (w *watching) read(ctx context.Context) {
	outcome := w.b.names.outcome(w.id)
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-w.mail:
			if m.Subject == caughtUp {
				w.caught <- struct{}{}
				continue
			}
			w.note(m, m.Subject == outcome)
		}
	}
}

func (w *watching) note(m *natsgo.Msg, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ended:
		w.ended = true
	case first(m.Header, "KV-Operation") == "":
		w.progress = &m.Data
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// caughtUp cannot come from NATS: it has a space.
const caughtUp = "caught up"

// catchUp returns once all is noted that came before it was called: an answer
// of NATS may overtake what was published before it.
func (w *watching) catchUp(ctx context.Context) {
	select {
	case w.mail <- &natsgo.Msg{Subject: caughtUp}:
	case <-ctx.Done():
		return
	}
	select {
	case <-w.caught:
	case <-ctx.Done():
	}
}

// glances are when a watch looks anew for what is kept: NATS takes messages in
// the background, so what was published just before the watch subscribed may
// not be kept yet when it looks first. The last one repeats.
var glances = []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 30 * time.Second}

func (w *watching) run(ctx context.Context, events chan<- broker.Event, connected <-chan struct{}) {
	w.tell = func(e broker.Event) bool {
		select {
		case events <- e:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if w.look(ctx) {
		return
	}
	again := time.NewTimer(glances[0])
	defer again.Stop()
	for n := 1; ; {
		var over bool
		select {
		case <-ctx.Done():
			return
		case <-connected:
			w.told = false // more may have been reported meanwhile
			over = w.look(ctx)
		case <-again.C:
			over = w.look(ctx)
			again.Reset(glances[n])
			n = min(n+1, len(glances)-1)
		case <-w.wake:
			over = w.woken(ctx)
		}
		if over {
			return
		}
	}
}

// woken tells what came. over is set when there is nothing more to tell.
func (w *watching) woken(ctx context.Context) (over bool) {
	ended, ok := w.tellNews()
	return !ok || ended && w.outcome(ctx)
}

// tellNews tells progress that came. ok is false when ctx has ended.
func (w *watching) tellNews() (ended, ok bool) {
	w.mu.Lock()
	progress, ended := w.progress, w.ended
	w.progress, w.ended = nil, false
	w.mu.Unlock()
	if progress == nil {
		return ended, true
	}
	w.told = true
	return ended, w.tell(broker.Event{Progress: *progress})
}

// tellOutcome tells the end, and before it the last progress that came.
func (w *watching) tellOutcome(ctx context.Context, o occamy.Outcome) {
	w.catchUp(ctx)
	if _, ok := w.tellNews(); ok {
		w.tell(broker.Event{Outcome: &o})
	}
}

// look tells what is kept, as far as it is new.
func (w *watching) look(ctx context.Context) (over bool) {
	o, err := w.b.Result(ctx, w.id)
	if err == nil {
		w.tellOutcome(ctx, o)
		return true
	}
	if !errors.Is(err, broker.ErrNotFound) || w.told {
		return ctx.Err() != nil // progress that follows comes by itself, in order
	}
	progress, err := w.b.lastProgress(ctx, w.id)
	if err != nil || progress == nil {
		return ctx.Err() != nil
	}
	w.catchUp(ctx)
	w.mu.Lock()
	if w.progress == nil { // else it came by itself, or a newer one
		w.progress = &progress
	}
	w.mu.Unlock()
	return w.woken(ctx)
}

// outcome waits until the stream keeps the outcome that was seen on its way,
// so that whoever is told finds it there, and tells it. NATS may refuse it;
// then the server publishes it again.
func (w *watching) outcome(ctx context.Context) (over bool) {
	for try := range 10 {
		o, err := w.b.Result(ctx, w.id)
		if err == nil {
			w.tellOutcome(ctx, o)
			return true
		}
		if !errors.Is(err, broker.ErrNotFound) || w.b.link.pause(ctx, backoff(try)) != nil {
			return ctx.Err() != nil
		}
	}
	return false
}
