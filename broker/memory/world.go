package memory

import (
	"cmp"
	"container/list"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// world is the broker behind all connections. No code of an Intake, a watcher
// or a holder of a message runs under mu.
type world struct {
	opts Options

	mu        sync.Mutex
	seq       uint64 // of the last request or dead letter
	kinds     map[string]*queue
	consumers []*consumer // in the order of their start
	running   map[string][]*consumer
	held      leases
	delayed   delays
	clock     clock
	recent    recent
	dead      []broker.DeadLetter // oldest first
	progress  map[string][]byte   // by request ID
	outcomes  map[string]*list.Element
	ages      *list.List // of *keptOutcome, oldest first
	watchers  map[string][]*watcher
	listeners map[string][]*listener // by topic
}

func newWorld(o Options) *world {
	w := &world{
		opts:     o,
		kinds:    make(map[string]*queue),
		running:  make(map[string][]*consumer),
		recent:   recent{window: o.DuplicateWindow, ids: make(map[requestKey]bool)},
		progress: make(map[string][]byte),
		outcomes: make(map[string]*list.Element),
		ages:     list.New(),
		watchers: make(map[string][]*watcher),
	}
	w.held.init()
	return w
}

// request is one that the broker keeps: in its queue, put off, or held.
type request struct {
	seq        uint64
	kind, id   string
	headers    occamy.Headers
	body       []byte
	deliveries int
	lost       int // deliveries that ended without a word of the holder
}

// queue is what waits of one kind, and who waits for it.
type queue struct {
	ready     fifo
	consumers []*consumer
}

func (w *world) queue(kind string) *queue {
	q := w.kinds[kind]
	if q == nil {
		q = &queue{}
		w.kinds[kind] = q
	}
	return q
}

// signal wakes those that wait for requests of the kind.
func (q *queue) signal() {
	for _, c := range q.consumers {
		c.signal()
	}
}

// enqueue puts a new request behind all others of its kind.
func (w *world) enqueue(r *request) {
	w.seq++
	r.seq = w.seq
	q := w.queue(r.kind)
	q.ready.push(r)
	q.signal()
}

// putBack returns requests to the places at the head of their queues that they
// had among each other.
func (w *world) putBack(requests ...*request) {
	slices.SortFunc(requests, func(a, b *request) int { return cmp.Compare(b.seq, a.seq) })
	for _, r := range requests {
		q := w.queue(r.kind)
		q.ready.pushFront(r)
		q.signal()
	}
}

// lose ends deliveries whose holder is gone or silent. It returns what is to be
// called once mu is free.
func (w *world) lose(lost []*delivery) (notify []func()) {
	var back []*request
	for _, d := range lost {
		d.state = isLost
		w.held.remove(d)
		notify = append(notify, d.onLost...)
		d.onLost = nil
		r := d.request
		r.lost++
		if w.opts.MaxDeliver < 0 || r.lost < w.opts.MaxDeliver {
			back = append(back, r)
			continue
		}
		o := broker.LimitReached(r.id, r.kind, r.lost)
		o.Attempt = r.deliveries
		w.keepOutcome(r.id, o)
		w.bury(r, o.Reason)
	}
	w.putBack(back...)
	return notify
}

func callAll(fs []func()) {
	for _, f := range fs {
		f()
	}
}

// fifo is a queue that also takes back at its head. It is two stacks, so each
// operation takes constant time on average.
type fifo struct {
	head []*request // next at the end
	tail []*request // last at the end
}

func (q *fifo) len() int             { return len(q.head) + len(q.tail) }
func (q *fifo) push(r *request)      { q.tail = append(q.tail, r) }
func (q *fifo) pushFront(r *request) { q.head = append(q.head, r) }

func (q *fifo) pop() *request {
	if len(q.head) == 0 {
		q.head, q.tail = q.tail, q.head
		slices.Reverse(q.head)
	}
	last := len(q.head) - 1
	r := q.head[last]
	q.head[last] = nil
	q.head = q.head[:last]
	return r
}

// recent remembers what was submitted within the window.
type recent struct {
	window time.Duration
	ids    map[requestKey]bool
	order  []submitted // oldest first, from index first on
	first  int
}

type requestKey struct{ kind, id string }

type submitted struct {
	key requestKey
	at  time.Time
}

// seen says whether the request was submitted within the window, and
// remembers it from now on if it was not.
func (r *recent) seen(kind, id string, now time.Time) bool {
	if r.window < 0 {
		return false
	}
	for r.first < len(r.order) && now.Sub(r.order[r.first].at) >= r.window {
		delete(r.ids, r.order[r.first].key)
		r.first++
	}
	if r.first > len(r.order)/2 {
		r.order = slices.Delete(r.order, 0, r.first)
		r.first = 0
	}
	key := requestKey{kind, id}
	if r.ids[key] {
		return true
	}
	r.ids[key] = true
	r.order = append(r.order, submitted{key, now})
	return false
}
