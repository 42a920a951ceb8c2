package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy/broker"
)

const (
	watchEvery  = 5 * time.Second  // between signs of interest
	lookEvery   = time.Second      // at queues, and for servers that are gone
	goneAfter   = 6 * time.Second  // without a word
	forgetAfter = 10 * time.Minute // of a server that is gone
	idleAfter   = 30 * time.Second // without use
	shownEvents = 100              // in one Update

	// everyForEach makes the servers of a large fleet say less often what has
	// changed, so that a View takes about 160 announcements a second at most: ms
	// between those of one server for each server that there is.
	everyForEach = 6
)

// Broker is what a View wants of a broker.
type Broker interface {
	broker.Feed
	Queues(ctx context.Context) ([]broker.Queue, error)
	Name() string
}

// View is what all servers do, as far as they have announced it. Make it with
// NewView and have it Run. Its methods are safe for use by several goroutines.
// It watches while it is used, that is, for half a minute after each call of
// Since or Wait; else it costs nothing.
type View struct {
	b    Broker
	used chan struct{} // holds one
	met  chan struct{} // holds one; there is a server that may not know of the view

	mu       sync.Mutex
	version  uint64             // of the last change; guarded by mu, as all below
	more     chan struct{}      // closed at the next change
	lastUse  time.Time          // of Since or Wait
	servers  map[string]*server // by ID
	removed  []removal          // oldest first
	queues   []broker.Queue
	queuesAt uint64 // version
	n        uint64 // of the last event
	events   []happened
	lives    lives
}

type server struct {
	id     string
	epoch  int64
	seq    uint64
	lastN  uint64 // of its events
	heard  time.Time
	info          // State may be gone
	infoAt uint64 // version
	slots  []seen
}

type seen struct {
	Slot
	at uint64 // version
}

type happened struct {
	Event
	at uint64 // version
}

type removal struct {
	id string
	at uint64 // version
}

// maxRemovals bounds how many removals are known; who is older starts anew.
const maxRemovals = maxServers

// NewView returns a view of the servers at a broker.
func NewView(b Broker) *View {
	return &View{
		b: b, used: make(chan struct{}, 1), met: make(chan struct{}, 1), version: 1, more: make(chan struct{}),
		servers: make(map[string]*server), lives: newLives(),
	}
}

// Run keeps the view up to date, while it is used, until ctx ends. It returns an
// error when the broker refuses to be listened to.
func (v *View) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-v.used:
		}
		if err := v.watch(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// watch listens until nobody uses the view any more.
func (v *View) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v.mu.Lock()
	now := time.Now()
	for _, s := range v.servers {
		if s.State != stateGone {
			s.heard = now // nobody has listened meanwhile
		}
	}
	v.mu.Unlock()
	if err := v.b.Listen(ctx, topicState, v.hear); err != nil {
		return err
	}
	look, watch := time.NewTicker(lookEvery), time.NewTicker(watchEvery)
	defer look.Stop()
	defer watch.Stop()
	v.say(ctx, true)
	v.lookAtQueues(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watch.C:
			v.say(ctx, false)
		case <-v.met:
			v.say(ctx, false)
			if !pause(ctx, announceEvery) { // many may come at a time
				return nil
			}
		case <-look.C:
			if !v.sweep(time.Now()) {
				return nil
			}
			v.lookAtQueues(ctx)
		}
	}
}

func (v *View) say(ctx context.Context, knowsNothing bool) {
	v.mu.Lock()
	there := 0
	for _, s := range v.servers {
		if s.State != stateGone {
			there++
		}
	}
	v.mu.Unlock()
	body, err := json.Marshal(interest{Full: knowsNothing, Every: there * everyForEach})
	if err != nil {
		return
	}
	_ = v.b.Announce(ctx, topicWatch, body) // the next one is soon
}

func (v *View) lookAtQueues(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	queues, err := v.b.Queues(ctx)
	if err != nil {
		return // as the servers show that are gone
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Equal(queues, v.queues) {
		v.queues = queues
		v.queuesAt = v.changed()
	}
}

// changed makes a new version and returns it. The caller holds the lock.
func (v *View) changed() uint64 {
	v.version++
	close(v.more)
	v.more = make(chan struct{})
	return v.version
}

// Update is what is newer than a version of a View; see the JSON names. Times are in
// ms since 1970.
type Update struct {
	Version uint64         `json:"v"`
	Now     int64          `json:"now"`
	Full    bool           `json:"full,omitempty"` // what was known before is void
	Broker  string         `json:"broker,omitempty"`
	Servers []ServerUpdate `json:"servers,omitempty"`
	Queues  []broker.Queue `json:"queues,omitempty"`
	Removed []string       `json:"removed,omitempty"` // IDs of servers
	Events  []Event        `json:"events,omitempty"`  // the newest, oldest first
}

// ServerUpdate is a server with those slots that have changed.
type ServerUpdate struct {
	ID   string `json:"id"`
	Seen int64  `json:"seen"` // when it was last heard
	info
	Slots []Slot `json:"slots,omitempty"`
}

// Since returns what is newer than version since, and the version that it leads
// to; everything for zero. It does not block.
func (v *View) Since(since uint64) (Update, uint64) {
	v.use()
	v.mu.Lock()
	defer v.mu.Unlock()
	u := Update{Version: v.version, Now: time.Now().UnixMilli()}
	if since == 0 || since > v.version || len(v.removed) == maxRemovals && v.removed[0].at > since {
		since, u.Full, u.Broker = 0, true, v.b.Name()
	}
	for _, s := range v.servers {
		su := ServerUpdate{ID: s.id, Seen: s.heard.UnixMilli(), info: s.info}
		for i := range s.slots {
			if s.slots[i].at > since {
				su.Slots = append(su.Slots, s.slots[i].Slot)
			}
		}
		if s.infoAt > since || len(su.Slots) > 0 {
			u.Servers = append(u.Servers, su)
		}
	}
	slices.SortFunc(u.Servers, func(a, b ServerUpdate) int { return cmp.Compare(a.ID, b.ID) })
	if v.queuesAt > since {
		u.Queues = slices.Clone(v.queues)
	}
	for _, r := range v.removed {
		if _, back := v.servers[r.id]; r.at > since && since > 0 && !back {
			u.Removed = append(u.Removed, r.id)
		}
	}
	first, _ := slices.BinarySearchFunc(v.events, since+1, func(e happened, at uint64) int { return cmp.Compare(e.at, at) })
	for _, e := range v.events[max(first, len(v.events)-shownEvents):] {
		u.Events = append(u.Events, e.Event)
	}
	return u, v.version
}

// Wait returns nil once there is something newer than version since, or the
// error of ctx.
func (v *View) Wait(ctx context.Context, since uint64) error {
	for {
		v.use()
		v.mu.Lock()
		newer, more := v.version > since, v.more
		v.mu.Unlock()
		if newer {
			return nil
		}
		again := time.NewTimer(idleAfter / 2)
		select {
		case <-more:
		case <-again.C: // who waits uses it
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		}
		again.Stop()
	}
}

func (v *View) use() {
	v.mu.Lock()
	v.lastUse = time.Now()
	v.mu.Unlock()
	select {
	case v.used <- struct{}{}:
	default:
	}
}

// Place is a slot of a server.
type Place struct {
	Server string `json:"server"`
	Slot
}

// Task is what is known of a task.
type Task struct {
	Places []Place // where it runs, and those that work for it
	Events []Event // its life, and that of those that work for it; oldest first
}

// Task returns what is known of a task; false when that is nothing. What happened
// while nobody watched is known as far as the servers have kept it.
func (v *View) Task(id string) (Task, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var t Task
	for _, s := range v.servers {
		for _, slot := range s.slots {
			if slot.Status != "empty" && (slot.ID == id || slot.Request == id) {
				t.Places = append(t.Places, Place{s.id, slot.Slot})
			}
		}
	}
	slices.SortFunc(t.Places, func(a, b Place) int {
		if c := cmp.Compare(a.Server, b.Server); c != 0 {
			return c
		}
		return a.Slot.Slot - b.Slot.Slot
	})
	t.Events = v.lives.of(id)
	return t, len(t.Places)+len(t.Events) > 0
}

// ErrNoFeed is returned by Of for a broker that is no broker.Feed.
var ErrNoFeed = errors.New("fleet: this broker carries no announcements; see broker.Feed")

// Of returns a view of the servers at b, or ErrNoFeed.
func Of(b broker.Broker) (*View, error) {
	fed, ok := b.(Broker)
	if !ok {
		return nil, ErrNoFeed
	}
	return NewView(fed), nil
}
