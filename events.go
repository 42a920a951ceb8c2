package occamy

import (
	"runtime"
	"sync"
	"time"
)

// monitorQueue stands between the server and its monitors: each has a bounded
// queue and a goroutine that lives while there is something in it.
type monitorQueue struct {
	errors  feed[error]
	latency feed[Latency]
	slots   feed[SlotChange]
}

// feedSize is how many events may wait for one monitor.
const feedSize = 4096

// toldAtOnce is how many of them are taken from the queue at a time.
const toldAtOnce = 64

type feed[T any] struct {
	mu      sync.Mutex
	queue   []T    // from head on; guarded by mu
	head    int    // guarded by mu
	running bool   // guarded by mu
	drops   uint64 // guarded by mu

	batch []T // taken and not told; of the goroutine that runs
}

func (f *feed[T]) put(v T, tell func(T)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue)-f.head >= feedSize {
		f.drops++
		return
	}
	if f.head > 0 && len(f.queue) == cap(f.queue) {
		n := copy(f.queue, f.queue[f.head:])
		clear(f.queue[n:])
		f.queue, f.head = f.queue[:n], 0
	}
	f.queue = append(f.queue, v)
	if !f.running {
		f.running = true
		go f.run(tell)
	}
}

func (f *feed[T]) run(tell func(T)) {
	done := false
	defer func() {
		if !done { // the monitor panicked or ended its goroutine
			_ = recover()
			go f.run(tell)
		}
	}()
	var room [toldAtOnce]T
	for {
		for len(f.batch) > 0 {
			v := f.batch[0]
			f.batch = f.batch[1:]
			tell(v)
		}
		runtime.Gosched() // where all are busy, more comes together meanwhile
		if !f.take(room[:]) {
			done = true
			return
		}
	}
}

// take moves what waits into room, as far as it goes, as the next batch. It
// returns false when nothing waits: the goroutine that runs then ends, and there
// may be another at once.
func (f *feed[T]) take(room []T) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(room, f.queue[f.head:])
	clear(f.queue[f.head : f.head+n])
	f.head += n
	if f.head == len(f.queue) {
		f.queue, f.head = f.queue[:0], 0
	}
	f.batch = room[:n]
	if n == 0 {
		f.running, f.batch = false, nil
		if cap(f.queue) > toldAtOnce {
			f.queue = nil
		}
	}
	return n > 0
}

func (f *feed[T]) dropped() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drops
}

func (q *monitorQueue) dropped() uint64 {
	return q.errors.dropped() + q.latency.dropped() + q.slots.dropped()
}

// recordSlot is called with the lock held, so changes keep their order.
func (s *Server) recordSlot(j *job, from, to Status, phase Phase, now time.Duration) {
	m := s.cfg.Monitors.Resource
	if m == nil {
		return
	}
	s.events.slots.put(SlotChange{
		Server: s.cfg.ID, Slot: j.slot, From: from, To: to, Phase: phase, Cause: j.stopCause(),
		ID: j.details.ID, Kind: j.details.Kind, Owner: j.owner.details.ID, Request: j.request(),
		Priority: j.details.Priority, Attempt: j.attempt, Time: s.start.Add(now),
	}, m.RecordSlot)
}

func (s *Server) recordError(err error) {
	if m := s.cfg.Monitors.Error; m != nil {
		s.events.errors.put(err, m.RecordError)
	}
}

// recordLatency is called where there is a monitor for it.
func (s *Server) recordLatency(j *job, stage Stage, outcome string, cause Cause, d time.Duration) {
	status := j.status
	if stage == StageHandle {
		status = Empty
	}
	id := j.known()
	s.events.latency.put(Latency{
		Stage: stage, ID: id.details.ID, Kind: id.details.Kind, Status: status, Attempt: id.attempt,
		Outcome: outcome, Cause: cause, Duration: d,
	}, s.cfg.Monitors.Latency.RecordLatency)
}
