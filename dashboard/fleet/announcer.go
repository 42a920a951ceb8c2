package fleet

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

const (
	announceEvery = 50 * time.Millisecond // between changes, at least; see interest
	mostEvery     = time.Second
	aliveEvery    = time.Second     // between announcements while somebody watches, at most
	fullEvery     = 5 * time.Second // between full states, which make up for what was lost
	fullAtMost    = 250 * time.Millisecond
	interestLasts = 15 * time.Second
	keptEvents    = 256 // of a server, for who begins to watch
)

const (
	stateUp       = "up"
	stateDraining = "draining"
	stateClosing  = "closing"
	stateGone     = "gone" // as a View has it
)

// Announcer tells whoever watches what one server does. Make it with
// NewAnnouncer before the server, give its Monitors to the server's config, and
// have it Run beside the server.
type Announcer struct {
	feed    broker.Feed
	changed chan struct{} // holds one
	asked   chan interest

	mu     sync.Mutex
	events []Event // the last ones, oldest first; guarded by mu
	n      uint64  // of the last event; guarded by mu
}

// NewAnnouncer makes the announcer of one server.
func NewAnnouncer(feed broker.Feed) *Announcer {
	return &Announcer{feed: feed, changed: make(chan struct{}, 1), asked: make(chan interest, 1)}
}

// Monitors are those by which the announcer learns that something has changed.
func (a *Announcer) Monitors() occamy.Monitors {
	return occamy.Monitors{Latency: recorder{a}, Resource: recorder{a}}
}

// recorder makes events of what a server tells its monitors.
type recorder struct{ a *Announcer }

// RecordSlot implements occamy.ResourceMonitor.
func (r recorder) RecordSlot(c occamy.SlotChange) {
	e := Event{
		Time: millis(c.Time), Slot: c.Slot, ID: c.ID, Kind: c.Kind, Request: c.Request,
		Attempt: c.Attempt, Cause: c.Cause, Status: c.To, Type: Started,
	}
	switch {
	case c.To == occamy.Empty:
		e.Type, e.Status = Ended, c.From
	case c.Phase == occamy.Stuck:
		e.Type = Stuck
	case c.Phase == occamy.Stopping && c.Cause == occamy.CausePreempted:
		e.Type = Preempted
	case c.Phase == occamy.Stopping:
		e.Type = Stopped
	}
	r.a.record(e)
}

// RecordLatency implements occamy.LatencyMonitor.
func (r recorder) RecordLatency(l occamy.Latency) {
	if l.Stage != occamy.StageSettle {
		return
	}
	e := Event{
		Time: time.Now().UnixMilli(), ID: l.ID, Kind: l.Kind, Request: l.ID, Status: l.Status,
		Attempt: l.Attempt, Cause: l.Cause, Took: l.Duration.Milliseconds(),
	}
	switch occamy.Settlement(l.Outcome) {
	case occamy.Acked:
		e.Type = Acked
	case occamy.Requeued:
		e.Type = Requeued
	case occamy.RejectedForGood:
		e.Type = Rejected
	default:
		e.Type = Lost
	}
	r.a.record(e)
}

func (a *Announcer) record(e Event) {
	a.mu.Lock()
	a.n++
	e.N, e.ID, e.Kind, e.Request = a.n, text(e.ID), text(e.Kind), text(e.Request)
	if len(a.events) >= 2*keptEvents {
		a.events = append(a.events[:0], a.events[len(a.events)-keptEvents:]...)
	}
	a.events = append(a.events, e)
	a.mu.Unlock()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// since returns the kept events after the nth.
func (a *Announcer) since(n uint64) []Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := len(a.events) - min(len(a.events), int(min(a.n-n, keptEvents)))
	return append([]Event(nil), a.events[first:]...)
}

// Server is what an Announcer wants of an *occamy.Server.
type Server interface{ Snapshot() occamy.Snapshot }

// Run says that the server is there, announces what it does to whoever watches,
// until ctx ends, and says good-bye then. It returns an error when the feed
// cannot be listened to.
func (a *Announcer) Run(ctx context.Context, server Server) error {
	err := a.feed.Listen(ctx, topicWatch, func(body []byte) {
		var i interest
		if json.Unmarshal(body, &i) != nil {
			return
		}
		select {
		case a.asked <- i:
			return
		default: // one that waits will do, unless this one knows nothing
		}
		if i.Full {
			select {
			case <-a.asked:
			default:
			}
			a.asked <- i // nobody else puts anything there
		}
	})
	if err != nil {
		return err
	}
	t := &teller{a: a, server: server, epoch: time.Now().UnixNano()}
	t.announce(ctx)
	for t.watched(ctx) {
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	t.say(ctx, announcement{Bye: true})
	return nil
}

// teller is what Run knows; its goroutine alone uses it.
type teller struct {
	a      *Announcer
	server Server
	epoch  int64
	seq    uint64
	sent   []Slot // as last announced
	told   info
	lastN  uint64 // of the last event that was announced
}

// watched waits until somebody watches and announces until nobody does, or ctx
// ends, when it returns false.
func (t *teller) watched(ctx context.Context) bool {
	every := announceEvery
	select {
	case <-ctx.Done():
		return false
	case i := <-t.a.asked:
		every = i.pace()
	}
	until := time.Now().Add(interestLasts)
	alive := time.NewTimer(0)
	defer alive.Stop()
	var last, lastFull, fullDue time.Time
	knowsNothing := true // somebody who watches
	for time.Now().Before(until) {
		select {
		case <-ctx.Done():
			return false
		case i := <-t.a.asked:
			until, every = time.Now().Add(interestLasts), i.pace()
			if i.Full {
				knowsNothing, fullDue = true, lastFull.Add(fullAtMost)
				alive.Reset(max(0, time.Until(fullDue)))
			}
			continue
		case <-alive.C:
		case <-t.a.changed:
			if !pause(ctx, every-time.Since(last)) {
				return false
			}
		}
		last = time.Now()
		if !last.Before(fullDue) {
			t.sent, lastFull, fullDue = nil, last, last.Add(max(fullEvery, 15*every))
			if knowsNothing {
				t.lastN, knowsNothing = 0, false
			}
		}
		t.announce(ctx)
		alive.Reset(max(aliveEvery, 2*every))
	}
	return true
}

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// announce says what is other than it was announced.
func (t *teller) announce(ctx context.Context) {
	snap := t.server.Snapshot()
	now := infoOf(snap)
	if t.told.State == stateUp && now.State == stateDraining {
		t.a.record(Event{Time: time.Now().UnixMilli(), Type: Draining})
	} else if t.told.State == stateDraining && now.State == stateUp {
		t.a.record(Event{Time: time.Now().UnixMilli(), Type: Resumed})
	}
	t.told = now
	events := t.a.since(t.lastN)
	if len(events) > 0 {
		t.lastN = events[len(events)-1].N
	}
	slots := t.changes(snap.Slots)
	for first := true; first || len(slots)+len(events) > 0; first = false {
		n, k := min(len(slots), slotsAtOnce), min(len(events), eventsAtOnce)
		t.say(ctx, announcement{Server: snap.Server, info: now, Slots: slots[:n], Events: events[:k]})
		slots, events = slots[n:], events[k:]
	}
}

func (t *teller) say(ctx context.Context, s announcement) {
	t.seq++
	s.Seq, s.Epoch = t.seq, t.epoch
	if s.Bye {
		snap := t.server.Snapshot()
		s.Server, s.info = snap.Server, infoOf(snap)
	}
	body, err := json.Marshal(s)
	if err == nil {
		err = t.a.feed.Announce(ctx, topicState, body)
	}
	_ = err // nobody hears it; the next full state says all again
}

// changes returns the slots that are other than last announced, and takes note.
func (t *teller) changes(slots []occamy.SlotInfo) []Slot {
	var changed []Slot
	for i, s := range slots {
		now := Slot{
			Slot: i, Status: s.Status, Phase: s.Phase,
			ID: text(s.ID), Kind: text(s.Kind), Request: text(s.Request), Owner: text(s.Owner),
			Priority: s.Priority, Attempt: s.Attempt, Since: millis(s.Since), Fraction: s.Fraction,
		}
		if i < len(t.sent) && t.sent[i] == now {
			continue
		}
		if i < len(t.sent) {
			t.sent[i] = now
		} else {
			t.sent = append(t.sent, now)
		}
		changed = append(changed, now)
	}
	return changed
}

func infoOf(s occamy.Snapshot) info {
	state := stateUp
	switch {
	case s.Closing:
		state = stateClosing
	case s.Draining:
		state = stateDraining
	}
	return info{
		State: state, Started: millis(s.Started), Kinds: s.Kinds, Size: len(s.Slots),
		Waiting: s.Waiting, Held: s.Held, Converting: s.Converting, Backlog: s.Backlog,
		Capacity: s.Capacity, Headroom: s.Headroom, Preemptions: s.Preemptions,
	}
}
