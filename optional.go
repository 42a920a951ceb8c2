package occamy

import (
	"fmt"
	"sync"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// optionalQueue converts optional requests, one after the other so that they
// keep their order, in a goroutine that lives while there are any.
type optionalQueue struct {
	server *Server

	mu      sync.Mutex
	queue   []*job // guarded by mu
	bytes   int    // of the queue; guarded by mu
	current *job   // whose handler the worker runs; guarded by mu
	working bool   // there is a worker; guarded by mu
	closed  bool   // guarded by mu
}

func (q *optionalQueue) add(j *job) {
	s, size := q.server, size(j.message)
	q.mu.Lock()
	full := len(q.queue) >= max(s.cfg.MaxBacklog, 0) || q.bytes+size > s.cfg.MaxBacklogBytes
	if closed := q.closed; full || closed {
		q.mu.Unlock()
		if !closed {
			s.recordError(j.errorOf(External, fmt.Errorf("%w: too many wait for their handler", ErrOptionalDropped)))
		}
		s.ackControl(j.message)
		return
	}
	q.queue = append(q.queue, j)
	q.bytes += size
	start := !q.working
	q.working = true
	q.mu.Unlock()
	if start {
		go q.work()
	}
}

func (q *optionalQueue) work() {
	s := q.server
	for {
		q.mu.Lock()
		if len(q.queue) == 0 {
			q.working, q.queue = false, nil
			q.mu.Unlock()
			return
		}
		j := q.queue[0]
		q.queue[0] = nil
		q.queue = q.queue[1:]
		q.bytes -= size(j.message)
		q.current = j
		q.mu.Unlock()

		err := j.handle(func(j *job) { q.abandon(j) })
		if !q.finished(j) {
			return // it took too long: another worker goes on
		}
		if err != nil {
			s.recordError(j.errorOf(External, err))
		} else if next := j.keep(); next.job != nil {
			s.launch(next.job, next.do)
		}
		s.ackControl(j.message)
	}
}

// keep has the table decide what becomes of an optional request.
func (j *job) keep() work {
	b := j.server.batch(slots.Optional, j)
	b.event.Task, b.event.Size = j.forTable(), size(j.message)
	return j.server.step(b)
}

// handle runs the handler of an optional request, within HandlerTimeout.
// exited is called when it ended its goroutine.
func (j *job) handle(exited func(*job)) error {
	s := j.server
	s.handling(j)
	returned := false
	defer func() {
		if !returned {
			s.handled(j)
			s.recordError(j.errorOf(External, newPanic("Handle", nil)))
			exited(j)
		}
	}()
	err := j.make()
	returned = true
	s.handled(j)
	if s.cfg.Monitors.Latency != nil {
		s.recordLatency(j, StageHandle, "", "", j.age())
	}
	return err
}

func (s *Server) handling(j *job) {
	s.mu.Lock()
	s.handlers.add(j, time.Since(s.start))
	s.mu.Unlock()
}

func (s *Server) handled(j *job) {
	s.mu.Lock()
	s.handlers.remove(j)
	s.mu.Unlock()
}

func (q *optionalQueue) finished(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.current != j {
		return false
	}
	q.current = nil
	return true
}

// abandon drops the optional request whose handler takes too long or ended its
// goroutine, and lets another worker go on with the rest. It returns false when
// the handler has returned.
func (q *optionalQueue) abandon(j *job) bool {
	if !q.finished(j) {
		return false
	}
	q.server.ackControl(j.message)
	go q.work()
	return true
}

// close drops what has not been converted.
func (q *optionalQueue) close() {
	q.mu.Lock()
	left, current := q.queue, q.current
	q.queue, q.bytes, q.closed = nil, 0, true
	q.mu.Unlock()
	for _, j := range left {
		q.server.ackControl(j.message)
	}
	if current != nil {
		current.ctx.end(ErrShutdown)
	}
}

// remake makes the task of an optional request in the backlog anew.
func (j *job) remake() work {
	s := j.server
	first := j.details.ID
	err := j.handle(func(j *job) { s.unmake(j) })
	if err == nil && j.details.ID != first {
		err = fmt.Errorf("%w: its ID was %q, then %q", ErrDetails, first, j.details.ID)
	}
	if err != nil {
		if s.unmake(j) {
			s.recordError(j.errorOf(External, err))
		}
		return work{}
	}
	b := s.batch(slots.Made, j)
	b.event.Task = j.forTable()
	return s.step(b)
}

// unmake drops an optional request of the backlog whose task cannot be made
// anew. It returns false when there is no need: the task has been made, or the
// request was dropped meanwhile.
func (s *Server) unmake(j *job) bool {
	b := s.batch(slots.Made, j)
	b.event.Result = slots.Failed
	s.mu.Lock()
	making := s.table.Job(j.ref).Phase == slots.Making
	if making {
		b.now = time.Since(s.start)
		s.decide(b)
	}
	s.mu.Unlock()
	s.carryOut(b)
	return making
}
