package nats

import (
	"context"
	"runtime"
	"sync"
)

// acks are those that are to be sent and that nobody waits for. What comes at
// the same time is sent together, so that it goes over the connection together.
type acks struct {
	mu      sync.Mutex
	waiting []*message
	spare   []*message // as large as waiting was, to be used again
	sending bool       // a goroutine sends what waits
}

// ackCall is what AckAsync was given.
type ackCall struct {
	ctx  context.Context
	done func(error)
}

// AckAsync implements occamy.AsyncAcker.
func (m *message) AckAsync(ctx context.Context, done func(error)) {
	m.acking = ackCall{ctx, done}
	a := &m.b.acks
	a.mu.Lock()
	a.waiting = append(a.waiting, m)
	start := !a.sending
	a.sending = true
	a.mu.Unlock()
	if start {
		go a.send()
	}
}

// send sends acks until none wait. Each time it lets those go first that can
// run, since most of them are about to ack too.
func (a *acks) send() {
	for {
		runtime.Gosched()
		batch := a.take()
		if len(batch) == 0 {
			return
		}
		for i, m := range batch {
			m.sendAck()
			batch[i] = nil
		}
	}
}

// take removes what waits; with nothing, the sender is done. The list is valid
// until the next call.
func (a *acks) take() []*message {
	a.mu.Lock()
	defer a.mu.Unlock()
	batch := a.waiting
	a.waiting, a.spare = a.spare[:0], batch
	a.sending = len(batch) > 0
	return batch
}

func (m *message) sendAck() {
	left := m.lease.left()
	if left <= 0 {
		m.acking.done(errLeaseOver)
		return
	}
	m.b.askThen(m.acking.ctx, m.raw.Reply, wordAck, min(tryTime, left), m)
}

// answered implements answerer, for an ack.
func (m *message) answered(a answer) {
	switch {
	case a.err == nil:
		m.acked()
		m.acking.done(nil)
	case !passing(a.err):
		m.acking.done(a.err)
	default:
		go func() {
			err := m.confirmAfter(m.acking.ctx, wordAck, a.err)
			if err == nil {
				m.acked()
			}
			m.acking.done(err)
		}()
	}
}

// acked: NATS has confirmed that the message is done with.
func (m *message) acked() {
	m.lease.settle()
	m.forgetProgress()
}
