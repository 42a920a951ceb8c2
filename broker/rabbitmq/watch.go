package rabbitmq

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// hub takes events for all that this connection watches, over one mailbox, which
// begins with the first watch. The mailbox is bound by each ID that is watched,
// and by an address: a request that bears that needs no binding of its own, which
// would cost more than the request.
type hub struct {
	once    sync.Once
	keys    *keys
	address string

	mu       sync.Mutex
	watching map[string]map[*watching]struct{} // by ID
	ids      map[string]string                 // by key
	seated   bool                              // events for the address come
}

// eventsAhead is how many events may be with this process unacked.
const eventsAhead = 1000

func (h *hub) start(b *Broker) {
	h.once.Do(func() {
		h.watching = make(map[string]map[*watching]struct{})
		h.ids = make(map[string]string)
		h.keys = newKeys(b.names.event, 0, h.bound)
		h.mu.Lock()
		h.address = addressPrefix + b.id
		h.mu.Unlock()
		ctx, end, err := b.begin(context.Background())
		if err != nil {
			return // and so it will for the watch
		}
		box := &mailbox{
			b: b, what: "watch", keys: h.keys, fixed: []string{h.address}, prefetch: eventsAhead,
			take: h.take, bound: h.sit, left: h.left,
		}
		go func() {
			defer end()
			box.run(ctx)
		}()
	})
}

func (h *hub) join(w *watching) {
	h.mu.Lock()
	if h.watching[w.id] == nil {
		h.watching[w.id] = make(map[*watching]struct{})
	}
	h.watching[w.id][w] = struct{}{}
	h.ids[watchKey(w.id)] = w.id
	if w.isNew && h.seated {
		signal(w.listening)
	}
	h.mu.Unlock()
	if !w.isNew {
		h.keys.want(watchKey(w.id))
	}
}

func (h *hub) leave(w *watching) {
	if !w.isNew {
		h.keys.drop(watchKey(w.id))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watching[w.id], w)
	if len(h.watching[w.id]) == 0 {
		delete(h.watching, w.id)
		delete(h.ids, watchKey(w.id))
	}
}

// bound tells who watches that events come from now on; what was published
// before may have been missed.
func (h *hub) bound(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watching[h.ids[key]] {
		if !w.isNew {
			signal(w.listening)
		}
	}
}

// sit is bound for those whose requests bear the address.
func (h *hub) sit(*sitting) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seated = true
	for _, some := range h.watching {
		for w := range some {
			if w.isNew {
				signal(w.listening)
			}
		}
	}
	return nil
}

func (h *hub) left() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seated = false
}

// addressFor returns what a request is to bear so that its events come here,
// which nothing does unless somebody waits for them so.
func (h *hub) addressFor(id string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watching[id] {
		if w.isNew {
			return h.address
		}
	}
	return ""
}

func (h *hub) take(d amqp.Delivery) {
	id := text(d.Headers, hdrID)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watching[id]) == 0 {
		return
	}
	var o *occamy.Outcome
	switch {
	case d.Type == typeOutcome:
		decoded, err := broker.DecodeOutcome(d.Body)
		if err != nil {
			return // of whoever wrote it
		}
		o = &decoded
	case !strings.HasPrefix(d.RoutingKey, progressPrefix):
		return
	}
	for w := range h.watching[id] {
		w.note(d.Body, o)
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watching is one call of Watch.
type watching struct {
	b         *Broker
	id        string
	isNew     bool          // its request bears the address
	listening chan struct{} // holds one: events come from now on
	wake      chan struct{} // holds one: something came

	// Only run uses these.
	events chan broker.Event
	from   int64 // where to look next in the stream
	told   bool  // what is kept is no newer than what was told

	mu       sync.Mutex
	progress []byte // the newest that was not told yet; nil: none
	outcome  *occamy.Outcome
}

// Watch implements broker.Broker. It looks through one in 32 of the outcomes that
// are kept, which takes the longer the more there are; WatchNew does not.
func (b *Broker) Watch(ctx context.Context, id string) (<-chan broker.Event, error) {
	return b.watch(ctx, id, false)
}

// WatchNew implements broker.NewWatcher. It costs the broker nothing.
func (b *Broker) WatchNew(ctx context.Context, id string) (<-chan broker.Event, error) {
	return b.watch(ctx, id, true)
}

func (b *Broker) watch(ctx context.Context, id string, isNew bool) (<-chan broker.Event, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	b.hub.start(b)
	w := &watching{
		b: b, id: id, isNew: isNew, told: true, events: make(chan broker.Event),
		listening: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	b.hub.join(w)
	select {
	case <-w.listening:
	case <-ctx.Done():
		b.hub.leave(w)
		err := fmt.Errorf("watch %q: %w", id, b.in.inVain(ctx))
		end()
		return nil, err
	}
	go func() {
		defer end()
		defer close(w.events)
		defer b.hub.leave(w)
		w.run(ctx, !isNew)
	}()
	return w.events, nil
}

func (w *watching) note(progress []byte, o *occamy.Outcome) {
	w.mu.Lock()
	if o != nil {
		w.outcome = o
	} else {
		if progress == nil {
			progress = []byte{}
		}
		w.progress = progress
	}
	w.mu.Unlock()
	signal(w.wake)
}

func (w *watching) run(ctx context.Context, look bool) {
	ctx, stop := context.WithCancel(ctx)
	var looking sync.WaitGroup
	defer looking.Wait()
	defer stop()
	kept := make(chan kept, 1)
	busy := false
	for over := false; !over; {
		if look && !busy {
			busy, look = true, false
			from, told := w.from, w.told
			looking.Go(func() { kept <- w.look(ctx, from, told) })
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			over = w.news(ctx)
		case k := <-kept:
			over, busy = w.looked(ctx, k), false
		case <-w.listening:
			w.told, look = false, true // something may have come meanwhile
		}
	}
}

// kept is what the broker keeps of a request.
type kept struct {
	found
	progress []byte // nil: none, or there is an outcome
}

func (w *watching) look(ctx context.Context, from int64, told bool) (k kept) {
	k.found, k.err = w.b.looks.look(ctx, w.b, w.id, from)
	if k.err == nil && k.outcome == nil && !told {
		k.progress, k.err = w.b.lastProgress(ctx, w.id)
	}
	if k.err != nil && ctx.Err() == nil {
		w.b.cfg.OnError(fmt.Errorf("watch %q: %w", w.id, k.err))
		if w.b.pause(ctx, lookAgain) == nil {
			signal(w.listening)
		}
	}
	return k
}

// lookAgain is how long to wait after a look that failed.
const lookAgain = 5 * time.Second

func (w *watching) looked(ctx context.Context, k kept) (over bool) {
	w.from = max(w.from, k.next)
	w.mu.Lock()
	if w.outcome == nil {
		w.outcome = k.outcome
	}
	if w.progress == nil && !w.told { // else it came by itself, or a newer one
		w.progress = k.progress
	}
	w.mu.Unlock()
	return w.news(ctx)
}

// news tells what came. over is set when there is nothing more to tell.
func (w *watching) news(ctx context.Context) (over bool) {
	w.mu.Lock()
	progress, outcome := w.progress, w.outcome
	w.progress = nil
	w.mu.Unlock()
	if progress != nil {
		w.told = true
		if !w.tell(ctx, broker.Event{Progress: progress}) {
			return true
		}
	}
	if outcome != nil {
		w.tell(ctx, broker.Event{Outcome: outcome})
	}
	return outcome != nil
}

func (w *watching) tell(ctx context.Context, e broker.Event) bool {
	select {
	case w.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}
