package memory

import (
	"container/heap"
	"iter"
	"time"
)

// leases are the deliveries that are held, in the order in which their leases
// end. All leases are equally long, so a new or renewed one goes to the end.
type leases struct{ root delivery }

func (l *leases) init() { l.root.prev, l.root.next = &l.root, &l.root }

func (l *leases) push(d *delivery) {
	d.prev, d.next = l.root.prev, &l.root
	d.prev.next, d.next.prev = d, d
}

func (l *leases) remove(d *delivery) {
	d.prev.next, d.next.prev = d.next, d.prev
	d.prev, d.next = nil, nil
}

// first returns the one whose lease ends first, nil when there is none.
func (l *leases) first() *delivery {
	if l.root.next == &l.root {
		return nil
	}
	return l.root.next
}

func (l *leases) all() iter.Seq[*delivery] {
	return func(yield func(*delivery) bool) {
		for d := l.root.next; d != &l.root; d = d.next {
			if !yield(d) {
				return
			}
		}
	}
}

// delays are the requests that were put off, a heap by the time they are due.
type delays []delay

type delay struct {
	due     time.Time
	request *request
}

func (d delays) Len() int { return len(d) }
func (d delays) Less(i, j int) bool {
	if !d[i].due.Equal(d[j].due) {
		return d[i].due.Before(d[j].due)
	}
	return d[i].request.seq < d[j].request.seq
}
func (d delays) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *delays) Push(x any)   { *d = append(*d, x.(delay)) }
func (d *delays) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	(*d)[last] = delay{}
	*d = (*d)[:last]
	return x
}

// clock is the one timer: for the first lease that may end and the first
// request that is due. A lease that is renewed or settled leaves it as it is,
// so under load it fires about once for each AckWait, and never when nothing
// is held or put off.
type clock struct {
	timer *time.Timer
	at    time.Time // zero when it is not running
}

// arm has the clock fire no later than for what comes first.
func (w *world) arm() {
	var next time.Time
	if d := w.held.first(); d != nil && w.opts.AckWait > 0 {
		next = d.expires
	}
	if len(w.delayed) > 0 && (next.IsZero() || w.delayed[0].due.Before(next)) {
		next = w.delayed[0].due
	}
	c := &w.clock
	if next.IsZero() || !c.at.IsZero() && !next.Before(c.at) {
		return
	}
	c.at = next
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(next), w.tick)
	} else {
		c.timer.Reset(time.Until(next))
	}
}

// tick ends the leases that have run out and readies the requests that are due.
func (w *world) tick() {
	w.mu.Lock()
	now := time.Now()
	w.clock.at = time.Time{}
	var lost []*delivery
	if w.opts.AckWait > 0 {
		for d := range w.held.all() {
			if d.expires.After(now) {
				break
			}
			lost = append(lost, d)
		}
	}
	notify := w.lose(lost)
	for len(w.delayed) > 0 && !w.delayed[0].due.After(now) {
		r := heap.Pop(&w.delayed).(delay).request
		q := w.queue(r.kind)
		q.ready.push(r)
		q.signal()
	}
	w.arm()
	w.mu.Unlock()
	callAll(notify)
}

// putOff has a request delivered again no sooner than after d.
func (w *world) putOff(r *request, d time.Duration) {
	heap.Push(&w.delayed, delay{due: time.Now().Add(d), request: r})
	w.arm()
}
