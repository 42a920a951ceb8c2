package occamy

import (
	"fmt"
	"reflect"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// ask calls Expand of the job's task and offers the server what it returns.
func (j *job) ask() work {
	s := j.server
	s.mu.Lock()
	n := j.asked
	s.mu.Unlock()
	returned := false
	defer func() {
		if !returned {
			s.recordError(j.errorOf(j.status, newPanic("Expand", nil)))
			s.offer(j, nil)
		}
	}()
	begun := time.Now()
	tasks, err := j.expand(n)
	if s.cfg.Monitors.Latency != nil {
		s.recordLatency(j, StageExpand, "", "", time.Since(begun))
	}
	if err != nil {
		s.recordError(j.errorOf(j.status, err))
	}
	if len(tasks) > n {
		s.recordError(j.errorOf(j.status, fmt.Errorf("%w: %d tasks, asked for %d", ErrOfferDropped, len(tasks), n)))
		tasks = tasks[:n]
	}
	s.offer(j, tasks)
	returned = true
	return work{}
}

func (j *job) expand(n int) (tasks []Task, err error) {
	defer func() {
		if v := recover(); v != nil {
			tasks, err = nil, newPanic("Expand", v)
		}
	}()
	return j.expander.Expand(j.userCtx(), n), nil
}

func (s *Server) askExpired(j *job) {
	s.recordError(j.errorOf(j.status, fmt.Errorf("%w: it has not returned after %v", ErrExpandTimeout, s.cfg.ExpandTimeout)))
	s.stepAside(slots.ExpandTimedOut, j)
}

// offer hands the tasks that are good to the table.
func (s *Server) offer(j *job, tasks []Task) {
	offers := make([]*job, 0, len(tasks))
	for _, t := range tasks {
		h := s.newJob(nil)
		h.status = Internal
		if s.cfg.Tracer != nil {
			h.parent = j.userCtx()
		}
		if j.status == External {
			h.status = External
		}
		if err := h.takeOffer(t, j.details.Kind); err != nil {
			s.recordError(j.errorOf(j.status, err))
			continue
		}
		offers = append(offers, h)
	}
	b := s.batch(slots.Offered, j)
	known := make([]slots.Task, len(offers))
	var twice []*job
	s.mu.Lock()
	n := 0
	for _, h := range offers {
		if !s.claim(h, j) {
			twice = append(twice, h)
			continue
		}
		offers[n], known[n] = h, h.forTable()
		n++
	}
	offers = offers[:n]
	b.now, b.offers, b.event.Offers = time.Since(s.start), offers, known[:n]
	s.decide(b)
	for _, h := range offers {
		if h.ref == 0 {
			s.unclaim(h)
		}
	}
	s.mu.Unlock()
	s.carryOut(b)
	for range twice {
		s.recordError(j.errorOf(j.status, fmt.Errorf("%w: the task was offered twice", ErrOfferDropped)))
	}
}

func (h *job) takeOffer(t Task, kind string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanic("Details", v)
		}
	}()
	h.identity = identity{details: Details{Kind: kind}, attempt: 1}
	return h.take(t)
}

// claim reports whether the table does not know the offered task yet. Tasks
// whose type has no identity cannot be told apart. The caller holds the lock.
func (s *Server) claim(h, asked *job) bool {
	if !isPointer(h.task) {
		return true
	}
	if s.offered[h.task] || isPointer(asked.task) && asked.task == h.task || asked.owner.task == h.task {
		return false
	}
	if s.offered == nil {
		s.offered = make(map[any]bool)
	}
	s.offered[h.task] = true
	return true
}

// unclaim lets a task be offered again once it is gone and no call of its
// methods is under way. The caller holds the lock.
func (s *Server) unclaim(h *job) {
	if h.message == nil && h.asked == 0 && !h.pumping && s.jobAt(h.ref) != h && isPointer(h.task) {
		delete(s.offered, h.task)
	}
}

// isPointer leaves out pointers to nothing, which may all be the same.
func isPointer(t Task) bool {
	of := reflect.TypeOf(t)
	return of.Kind() == reflect.Pointer && of.Elem().Size() > 0
}
