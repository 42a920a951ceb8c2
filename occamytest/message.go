package occamytest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

// Fate is how a message was settled.
type Fate string

// The fates of a message.
const (
	Unsettled Fate = ""
	Acked     Fate = "acked"
	Rejected  Fate = "rejected"
	Requeued  Fate = "requeued"
)

// Settlement is one settling of a message.
type Settlement struct {
	Fate   Fate
	Reason string        // of a rejection, where the message keeps one
	Delay  time.Duration // of a requeue, where the message takes one
	Time   time.Time     // when it was settled
}

// Message is a message with no ability beyond those that every message has. It
// records how it was settled. A field that is to be changed is set before the
// message is handed to a server.
type Message struct {
	// OnSettle, where it is not nil, is called before a settling is recorded:
	// the call fails with what it returns. It may block and it may panic. n
	// counts the calls, from 1.
	OnSettle func(ctx context.Context, s Settlement, n int) error

	headers occamy.Headers
	body    []byte

	mu      sync.Mutex
	calls   int           // guarded by mu
	done    []Settlement  // guarded by mu
	settled chan struct{} // closed by the first settling
}

var _ occamy.Message = (*Message)(nil)

// NewMessage makes a message with these headers and this body, which the
// message owns from now on.
func NewMessage(h occamy.Headers, body []byte) *Message {
	return &Message{headers: h, body: body, settled: make(chan struct{})}
}

// Headers implements occamy.Message.
func (m *Message) Headers() occamy.Headers { return m.headers }

// Body implements occamy.Message.
func (m *Message) Body() []byte { return m.body }

// Ack implements occamy.Message.
func (m *Message) Ack(ctx context.Context) error {
	return m.settle(ctx, Settlement{Fate: Acked})
}

// Reject implements occamy.Message.
func (m *Message) Reject(ctx context.Context, requeue bool) error {
	if requeue {
		return m.settle(ctx, Settlement{Fate: Requeued})
	}
	return m.settle(ctx, Settlement{Fate: Rejected})
}

func (m *Message) settle(ctx context.Context, s Settlement) error {
	m.mu.Lock()
	m.calls++
	n := m.calls
	m.mu.Unlock()
	if m.OnSettle != nil {
		if err := m.OnSettle(ctx, s, n); err != nil {
			return err
		}
	}
	s.Time = time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = append(m.done, s)
	if len(m.done) == 1 {
		close(m.settled)
	}
	return nil
}

// Settled returns a channel that is closed when the message has been settled.
func (m *Message) Settled() <-chan struct{} { return m.settled }

// Settlement returns how the message was settled first; its Fate is Unsettled
// when it was not.
func (m *Message) Settlement() Settlement {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.done) == 0 {
		return Settlement{}
	}
	return m.done[0]
}

// Settlements returns each settling; a good server has one at most.
func (m *Message) Settlements() []Settlement {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.done)
}

// Calls returns how often a settling was tried, with those that failed.
func (m *Message) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}
