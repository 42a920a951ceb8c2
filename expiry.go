package occamy

import "time"

// expiry watches over things that may all take equally long, such as a stop:
// a queue in order of their deadlines, with one timer for all. The timer is set
// only when it is not running and somebody is in the queue, so a server whose
// tasks end in time sets it at most once for each wait. The server's lock
// guards it.
type expiry struct {
	server  *Server
	which   queueKind
	wait    time.Duration // negative: nothing ever expires
	expired func(*job)    // called without the lock; a job that ended meanwhile is the callee's to notice

	queue jobQueue
	timer *time.Timer
	armed bool
}

func (x *expiry) add(j *job, now time.Duration) {
	if x.wait < 0 {
		return
	}
	j.links[x.which].due = now + x.wait
	x.queue.push(j, x.which)
	if !x.armed {
		x.armed = true
		x.arm(x.wait)
	}
}

func (x *expiry) remove(j *job) { x.queue.remove(j, x.which) }

func (x *expiry) arm(d time.Duration) {
	if x.timer == nil {
		x.timer = time.AfterFunc(d, x.fire)
		return
	}
	x.timer.Reset(d)
}

func (x *expiry) fire() {
	s := x.server
	for {
		s.mu.Lock()
		j := x.queue.head
		if j == nil {
			x.armed = false
			s.mu.Unlock()
			return
		}
		if d := j.links[x.which].due - time.Since(s.start); d > 0 {
			x.arm(d)
			s.mu.Unlock()
			return
		}
		x.queue.remove(j, x.which)
		s.mu.Unlock()
		x.expired(j)
	}
}

// queueKind says which of a job's links a queue uses.
type queueKind uint8

const (
	inHandler queueKind = iota
	inKill
	inExpand
	inSettle
	queueKinds
)

type link struct {
	prev, next *job
	due        time.Duration
	in         bool
}

type jobQueue struct{ head, tail *job }

func (q *jobQueue) push(j *job, k queueKind) {
	l := &j.links[k]
	l.prev, l.next, l.in = q.tail, nil, true
	if q.tail != nil {
		q.tail.links[k].next = j
	} else {
		q.head = j
	}
	q.tail = j
}

func (q *jobQueue) remove(j *job, k queueKind) {
	l := &j.links[k]
	if !l.in {
		return
	}
	if l.prev != nil {
		l.prev.links[k].next = l.next
	} else {
		q.head = l.next
	}
	if l.next != nil {
		l.next.links[k].prev = l.prev
	} else {
		q.tail = l.prev
	}
	*l = link{}
}
