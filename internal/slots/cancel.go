package slots

import (
	"crypto/sha256"
	"time"
)

// memory keeps the IDs that were cancelled lately, the oldest first.
type memory struct {
	at      map[string]int32
	entries []remembered
	order   link  // prev: the newest; next: the oldest
	unused  int32 // a chain through next
}

type remembered struct {
	id    string
	until time.Duration
	link  link
}

// longID is how many bytes an ID may have to be kept as it is.
const longID = 512

// key is what stands for an ID: it takes little room, however long it is.
func key(id string) string {
	if len(id) <= longID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return string(sum[:]) + id[:longID]
}

func newMemory() memory {
	return memory{at: map[string]int32{}, order: link{none, none}, unused: none}
}

// linkOf returns the link of an entry, or the ends of the order for none.
func (m *memory) linkOf(i int32) *link {
	if i == none {
		return &m.order
	}
	return &m.entries[i].link
}

func (m *memory) add(id string, until time.Duration) {
	id = key(id)
	if i, ok := m.at[id]; ok {
		m.remove(i)
	}
	i := m.unused
	if i == none {
		i = int32(len(m.entries))
		m.entries = append(m.entries, remembered{})
	} else {
		m.unused = m.entries[i].link.next
	}
	m.entries[i] = remembered{id, until, link{prev: m.order.prev, next: none}}
	m.linkOf(m.order.prev).next = i
	m.order.prev = i
	m.at[id] = i
}

func (m *memory) remove(i int32) {
	e := m.entries[i]
	m.linkOf(e.link.prev).next = e.link.next
	m.linkOf(e.link.next).prev = e.link.prev
	delete(m.at, e.id)
	m.entries[i] = remembered{link: link{next: m.unused}}
	m.unused = i
}

// forget drops what is remembered no longer.
func (m *memory) forget(now time.Duration) {
	for i := m.order.next; i != none && m.entries[i].until <= now; i = m.order.next {
		m.remove(i)
	}
}

// remembers reports whether the ID was cancelled lately.
func (t *Table) remembers(id string) bool {
	t.cancelled.forget(t.now)
	_, ok := t.cancelled.at[key(id)]
	return ok
}

func (t *Table) cancel(id string) {
	if id == "" {
		return
	}
	if t.cfg.CancelMemory > 0 && t.cfg.MaxCancelled > 0 {
		t.cancelled.forget(t.now)
		t.cancelled.add(id, later(t.now, t.cfg.CancelMemory))
		if len(t.cancelled.at) > t.cfg.MaxCancelled {
			t.cancelled.remove(t.cancelled.order.next)
		}
	}
	t.refs = t.bearers(id, false, t.refs[:0])
	for _, r := range t.refs {
		if i := t.find(r); i != none {
			t.cancelJob(i)
		}
	}
}

func (t *Table) cancelJob(i int32) {
	j := &t.jobs[i]
	switch j.phase {
	case Waiting:
		t.turnAway(i, Ack, Cancelled)
	case Running:
		j.cancelled = true
		t.stopAll(i, Cancelled)
	case Stopping, Stuck:
		j.cancelled = true
	case Backlog, Making, Pending:
		t.drop(i, Cancelled)
	}
}
