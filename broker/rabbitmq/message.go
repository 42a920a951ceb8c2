package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// delivery is a request as it was delivered once.
type delivery struct {
	s       *session
	block   *block
	raw     amqp.Delivery
	headers occamy.Headers

	id      string
	key     string // what progress is kept under; empty: nowhere
	attempt int
	crashes int // deliveries that were lost before this one

	// Guarded by s.mu.
	state      deliveryState
	onLost     func()
	acked      func(error) // what session.ack tells
	progressed bool
	prev, next *delivery // in s.unacked
}

type deliveryState uint8

const (
	out deliveryState = iota
	settled
	lost
)

var (
	_ occamy.Message          = (*delivery)(nil)
	_ occamy.AsyncAcker       = (*delivery)(nil)
	_ occamy.LossNotifier     = (*delivery)(nil)
	_ occamy.Releaser         = (*delivery)(nil)
	_ occamy.DelayedRequeuer  = (*delivery)(nil)
	_ occamy.ReasonedRejecter = (*delivery)(nil)
	_ occamy.Attempter        = (*delivery)(nil)
	_ occamy.OutcomePublisher = (*delivery)(nil)
	_ occamy.ProgressKeeper   = (*delivery)(nil)
)

func newDelivery(s *session, k *block, raw amqp.Delivery) *delivery {
	m := &delivery{s: s, block: k, raw: raw, headers: decodeHeaders(raw.Headers)}
	if _, ok := m.headers[s.c.keys.Kind]; !ok {
		m.headers[s.c.keys.Kind] = s.kind // published without Occamy
	}
	if id, _ := broker.HeaderString(m.headers, s.c.keys.RequestID); broker.CheckID(id) == nil {
		m.id = id // else it names nothing, and may be as long as a frame
	}
	if m.key = m.id; m.key == "" {
		if origin := first(text(raw.Headers, hdrOrigin), raw.MessageId); origin != "" {
			m.key = "\x00" + origin
		}
	}
	lost := m.lostSinceCopied()
	m.attempt = count(raw.Headers, hdrDeliveries) + lost + 1
	m.crashes = count(raw.Headers, hdrCrashes) + lost
	return m
}

// lostSinceCopied is how many deliveries of this very message were lost, as far
// as the broker tells: a classic queue tells only whether there was one, and
// that one is counted by a copy.
func (m *delivery) lostSinceCopied() int {
	if n := count(m.raw.Headers, "x-delivery-count"); n > 0 {
		return n
	}
	if m.uncounted() {
		return 1
	}
	return 0
}

// uncounted says whether the broker has delivered the message before and does
// not count how often.
func (m *delivery) uncounted() bool {
	_, counts := m.raw.Headers["x-delivery-count"]
	return m.raw.Redelivered && !counts
}

// unreadable says whether the sieve has taken its headers away.
func (m *delivery) unreadable() bool { return m.raw.Headers[hdrUnreadable] == true }

func (m *delivery) Headers() occamy.Headers { return m.headers }
func (m *delivery) Body() []byte            { return m.raw.Body }
func (m *delivery) Attempt() int            { return m.attempt }

// NotifyLost implements occamy.LossNotifier.
func (m *delivery) NotifyLost(f func()) {
	m.s.mu.Lock()
	gone := m.state == lost
	if m.state == out {
		if before := m.onLost; before != nil {
			m.onLost = func() { before(); f() }
		} else {
			m.onLost = f
		}
	}
	m.s.mu.Unlock()
	if gone {
		f()
	}
}

// Release implements occamy.Releaser: else the broker would leave the request, and
// the credit that it takes, with the server until the connection ends.
func (m *delivery) Release() { go m.s.refuse(m, true) }

// Ack implements occamy.Message. AMQP has no answer to an ack: when the
// connection breaks just then, the request may be delivered again. The progress
// is removed in the background.
func (m *delivery) Ack(ctx context.Context) error {
	written := make(chan error, 1)
	m.AckAsync(ctx, func(err error) { written <- err })
	return <-written
}

// AckAsync implements occamy.AsyncAcker.
func (m *delivery) AckAsync(ctx context.Context, done func(error)) {
	if err := ctx.Err(); err != nil {
		done(err)
		return
	}
	m.s.ack(m, func(err error) {
		if err == nil {
			m.forgetProgress()
		}
		done(err)
	})
}

// Reject implements occamy.Message.
func (m *delivery) Reject(ctx context.Context, requeue bool) error {
	if requeue {
		return m.RequeueAfter(ctx, 0)
	}
	return m.RejectFor(ctx, "rejected")
}

// RequeueAfter publishes a copy, which bears the counts of this delivery and
// goes to the end of its queue, and then acks the original: to give that back
// would count as a crash. That is what becomes of one that is too large to copy,
// so that it comes back at all.
func (m *delivery) RequeueAfter(ctx context.Context, delay time.Duration) error {
	m.s.awaitQuiet(ctx)
	err := m.replace(ctx, m.copy(m.attempt, m.crashes), delay)
	if errors.Is(err, occamy.ErrTooLarge) {
		m.s.refuse(m, true)
		return nil
	}
	return err
}

// giveBack requeues what nobody was given. For a message that a classic queue
// has delivered before, and whose holder was lost, the copy says so.
func (m *delivery) giveBack(ctx context.Context) error {
	return m.replace(ctx, m.copy(m.attempt-1, m.crashes), 0)
}

func (m *delivery) copy(deliveries, crashes int) amqp.Publishing {
	h := userHeaders(m.raw.Headers)
	if deliveries > 0 {
		h[hdrDeliveries] = int64(deliveries)
	}
	if crashes > 0 {
		h[hdrCrashes] = int64(crashes)
	}
	if m.id == "" && m.key != "" {
		h[hdrOrigin] = m.key[1:]
	}
	return m.publishing(h)
}

func (m *delivery) publishing(h amqp.Table) amqp.Publishing {
	return amqp.Publishing{
		Headers:         h,
		ContentType:     m.raw.ContentType,
		ContentEncoding: m.raw.ContentEncoding,
		Priority:        m.raw.Priority,
		CorrelationId:   m.raw.CorrelationId,
		ReplyTo:         m.raw.ReplyTo,
		Timestamp:       m.raw.Timestamp,
		Type:            m.raw.Type,
		AppId:           m.raw.AppId,
		Body:            m.raw.Body,
	}
}

// replace publishes msg in place of the delivery, while that is ours: later the
// broker has handed the original on, and a copy would make it two.
func (m *delivery) replace(ctx context.Context, msg amqp.Publishing, delay time.Duration) error {
	if m.isSettled() {
		return nil
	}
	b := m.s.c.b
	err := m.s.hold(ctx, m, func(ctx context.Context) error {
		if delay > 0 {
			return b.publishDelayed(ctx, m.s.kind, delay, msg)
		}
		return b.publishRequest(ctx, m.s.kind, msg)
	})
	if err != nil {
		return err
	}
	return m.s.ackNow(m)
}

// RejectFor implements occamy.ReasonedRejecter: the dead letter is published,
// with the reason, before the request is acked.
func (m *delivery) RejectFor(ctx context.Context, reason string) error {
	return m.bury(ctx, reason, m.attempt)
}

func (m *delivery) bury(ctx context.Context, reason string, attempts int) error {
	if m.isSettled() {
		return nil
	}
	err := m.s.hold(ctx, m, func(ctx context.Context) error {
		return m.publishDead(ctx, reason, attempts)
	})
	if err != nil {
		return err
	}
	if err := m.s.ackNow(m); err != nil {
		return err
	}
	m.forgetProgress()
	return nil
}

// maxReason is how much of a reason a dead letter keeps, in bytes, as far as
// there is room; minReason is what always fits.
const (
	maxReason = maxHeaders / 2
	minReason = 512
)

// publishDead publishes the request as a dead letter. One that somebody else
// published up to the broker's limits loses its headers or its body, which the
// reason tells.
func (m *delivery) publishDead(ctx context.Context, reason string, attempts int) error {
	b := m.s.c.b
	h := userHeaders(m.raw.Headers)
	h[hdrDeliveries] = int64(attempts)
	h[hdrTime] = time.Now().UnixNano()
	h[hdrKind], h[hdrID] = m.s.kind, m.id
	if kind, _ := broker.HeaderString(m.headers, m.s.c.keys.Kind); broker.CheckKind(kind) == nil {
		h[hdrKind] = kind
	}
	h[hdrReason] = ""
	room := maxHeaders - headerSize(h)
	if room < minReason {
		n := headerSize(h)
		for key := range userHeaders(h) {
			delete(h, key)
		}
		reason = fmt.Sprintf("its headers of %d bytes did not fit into a dead letter: %s", n, reason)
		room = maxHeaders - headerSize(h)
	}
	h[hdrReason] = cut(reason, min(maxReason, room-minReason/4))
	msg := m.publishing(h)
	err := b.publishDead(ctx, m.s.kind, msg)
	if errors.Is(err, occamy.ErrTooLarge) && len(msg.Body) > 0 {
		h[hdrReason] = cut(fmt.Sprintf("its body of %d bytes did not fit into a dead letter: %s", len(msg.Body), reason), minReason/2)
		msg.Body = nil
		err = b.publishDead(ctx, m.s.kind, msg)
	}
	return err
}

// limitReached makes a dead letter of a request whose deliveries were lost too
// often, and tells whoever waits for it.
func (m *delivery) limitReached(ctx context.Context) error {
	o := broker.LimitReached(m.id, m.s.kind, m.crashes)
	if m.id != "" {
		if err := m.PublishOutcome(ctx, o); err != nil {
			return err
		}
	}
	return m.bury(ctx, o.Reason, m.attempt-1) // this delivery reached nobody
}

// PublishOutcome implements occamy.OutcomePublisher.
func (m *delivery) PublishOutcome(ctx context.Context, o occamy.Outcome) error {
	return m.s.hold(ctx, m, func(ctx context.Context) error { return m.s.c.b.publishOutcome(ctx, o, m.raw.ReplyTo) })
}

// PublishProgress implements occamy.ProgressKeeper. The progress of a request
// that has neither an ID nor a message ID cannot be kept.
func (m *delivery) PublishProgress(ctx context.Context, progress []byte) error {
	m.s.mu.Lock()
	m.progressed = true
	m.s.mu.Unlock()
	return m.s.hold(ctx, m, func(ctx context.Context) error {
		if m.key == "" {
			return nil
		}
		return m.s.c.b.publishProgress(ctx, m.key, progress, m.raw.ReplyTo)
	})
}

// LastProgress implements occamy.ProgressKeeper.
func (m *delivery) LastProgress(ctx context.Context) ([]byte, error) {
	if m.key == "" || m.attempt == 1 && !m.hasProgressed() {
		return nil, ctx.Err()
	}
	return m.s.c.b.lastProgress(ctx, m.key)
}

func (m *delivery) isSettled() bool {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	return m.state == settled
}

func (m *delivery) hasProgressed() bool {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	return m.progressed
}

// forgetProgress removes what this attempt or an earlier one reported. Nobody
// waits for it: progress that is left behind ends with ProgressAge.
func (m *delivery) forgetProgress() {
	if m.key != "" && (m.attempt > 1 || m.hasProgressed()) {
		m.s.c.b.forgetProgress(m.key)
	}
}
