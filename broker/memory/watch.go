package memory

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

type keptOutcome struct {
	id      string
	outcome occamy.Outcome
	at      time.Time
}

// outcome returns a copy of the outcome of a request, nil when there is none.
func (w *world) outcome(id string) *occamy.Outcome {
	w.forgetOutcomes()
	e := w.outcomes[id]
	if e == nil {
		return nil
	}
	o := e.Value.(*keptOutcome).outcome
	o.Result = bytes.Clone(o.Result)
	return &o
}

// keepOutcome keeps an outcome instead of any earlier one and tells those who
// wait for it.
func (w *world) keepOutcome(id string, o occamy.Outcome) {
	w.dropOutcome(id)
	w.outcomes[id] = w.ages.PushBack(&keptOutcome{id, o, time.Now()})
	for _, wt := range slices.Clone(w.watchers[id]) {
		w.tell(wt, nil, w.outcome(id))
	}
	w.forgetOutcomes()
}

func (w *world) dropOutcome(id string) {
	if e := w.outcomes[id]; e != nil {
		w.ages.Remove(e)
		delete(w.outcomes, id)
	}
}

// forgetOutcomes drops the oldest that are too old or too many.
func (w *world) forgetOutcomes() {
	for e := w.ages.Front(); e != nil; e = w.ages.Front() {
		k := e.Value.(*keptOutcome)
		old := w.opts.OutcomeAge > 0 && time.Since(k.at) >= w.opts.OutcomeAge
		many := w.opts.MaxOutcomes > 0 && w.ages.Len() > w.opts.MaxOutcomes
		if !old && !many {
			return
		}
		w.dropOutcome(k.id)
	}
}

// watcher is one call of Watch.
type watcher struct {
	conn   *Broker
	id     string
	events chan broker.Event // room for one progress and the outcome
	stop   func() bool       // ends the watch of ctx
	done   bool              // guarded by world.mu: events is closed
}

// Watch implements broker.Broker. Progress that is kept already is the first
// event.
func (b *Broker) Watch(ctx context.Context, id string) (<-chan broker.Event, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	w := b.world
	defer w.mu.Unlock()
	wt := &watcher{conn: b, id: id, events: make(chan broker.Event, 2)}
	w.watchers[id] = append(w.watchers[id], wt)
	wt.stop = context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.unwatch(wt)
	})
	outcome := w.outcome(id)
	if outcome != nil {
		w.tell(wt, nil, outcome)
	} else {
		w.tell(wt, w.progress[id], nil)
	}
	return wt.events, nil
}

// tell puts progress, unless it is nil, in the place of any that has not been
// read, and then the outcome, with which the watch ends.
func (w *world) tell(wt *watcher, progress []byte, outcome *occamy.Outcome) {
	if !wt.conn.usable() {
		return
	}
	if progress != nil {
		select {
		case <-wt.events:
		default:
		}
		wt.events <- broker.Event{Progress: bytes.Clone(progress)}
	}
	if outcome != nil {
		wt.events <- broker.Event{Outcome: outcome}
		w.unwatch(wt)
	}
}

func (w *world) unwatch(wt *watcher) {
	if wt.done {
		return
	}
	wt.done = true
	wt.stop()
	close(wt.events)
	w.watchers[wt.id] = without(w.watchers[wt.id], wt)
	if len(w.watchers[wt.id]) == 0 {
		delete(w.watchers, wt.id)
	}
}
