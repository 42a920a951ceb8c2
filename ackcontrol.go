package occamy

import (
	"context"
	"fmt"
	"sync"
)

// ackQueue acks control messages, in a few goroutines that live while there
// are any: a broker that does not answer holds up neither the intake nor the
// memory of a server that is flooded.
type ackQueue struct {
	mu      sync.Mutex
	queue   []Message // guarded by mu
	bytes   int       // of the queue; guarded by mu
	workers int       // guarded by mu
}

const (
	ackWorkers = 64
	ackWaiting = 1 << 14
)

// ackControl acks a control message whatever came of it: a rejection would
// dead-letter it once for each server.
func (s *Server) ackControl(m Message) {
	if _, unkept := m.(Unkept); unkept {
		return
	}
	q, n := &s.acks, size(m)
	q.mu.Lock()
	start := q.workers < ackWorkers
	room := start || len(q.queue) < ackWaiting && q.bytes+n <= s.cfg.MaxBacklogBytes
	switch {
	case start:
		q.workers++
	case room:
		q.queue = append(q.queue, m)
		q.bytes += n
	}
	q.mu.Unlock()
	switch {
	case start:
		go s.ackFrom(m)
	case !room:
		s.recordError(fmt.Errorf("%w: control message: too many wait for their ack", ErrNotSettled))
	}
}

// ackFrom acks m and then what waits.
func (s *Server) ackFrom(m Message) {
	q := &s.acks
	defer func() {
		if m != nil { // Ack ended this goroutine
			if m = q.next(); m != nil {
				go s.ackFrom(m)
			}
		}
	}()
	for m != nil {
		s.ackNow(m)
		m = q.next()
	}
}

func (s *Server) ackNow(m Message) {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.SettleTimeout)
	defer cancel()
	if err := guard(func() error { return m.Ack(ctx) }); err != nil {
		s.recordError(fmt.Errorf("%w: control message: %w", ErrNotSettled, err))
	}
}

// next returns what waits longest; with nil the caller is no worker any more.
func (q *ackQueue) next() Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		q.queue = nil
		q.workers--
		return nil
	}
	m := q.queue[0]
	q.queue[0] = nil
	q.queue = q.queue[1:]
	q.bytes -= size(m)
	return m
}
