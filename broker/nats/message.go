package nats

import (
	"context"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// message is a delivery of a request.
type message struct {
	b       *Broker
	raw     *natsgo.Msg
	headers occamy.Headers
	lease   lease
	ackWait time.Duration

	kind, id string
	key      string // what progress is kept under
	delivery string // names this delivery, for de-duplication
	attempt  int
	crashes  int // deliveries that were lost before this one
	pending  int // that wait behind it, as NATS said

	progressed bool // guarded by lease.mu
}

var (
	_ occamy.Message          = (*message)(nil)
	_ occamy.Leased           = (*message)(nil)
	_ occamy.DelayedRequeuer  = (*message)(nil)
	_ occamy.ReasonedRejecter = (*message)(nil)
	_ occamy.Attempter        = (*message)(nil)
	_ occamy.OutcomePublisher = (*message)(nil)
	_ occamy.ProgressKeeper   = (*message)(nil)
)

func newMessage(b *Broker, q queue, keys occamy.HeaderKeys, raw *natsgo.Msg, received, proof time.Time) (*message, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return nil, fmt.Errorf("nats: delivery without its data: %w", err)
	}
	m := &message{
		b: b, raw: raw, headers: decodeHeaders(raw.Header),
		lease: newLease(q.ackWait, deliveredAt(received, proof, meta.Timestamp, q.ackWait)), ackWait: q.ackWait,
		kind: q.kind, pending: int(min(meta.NumPending, 1<<30)),
	}
	if _, ok := m.headers[keys.Kind]; !ok {
		m.headers[keys.Kind] = q.kind // published without Occamy
	}
	m.id, _ = broker.HeaderString(m.headers, keys.RequestID)

	source := meta.Consumer + "." + strconv.FormatUint(meta.Sequence.Stream, 10)
	m.delivery = source + "." + strconv.FormatUint(meta.NumDelivered, 10)
	if m.key = m.id; m.key == "" {
		if m.key = first(raw.Header, hdrOrigin); m.key == "" {
			m.key = "\x00" + source
		}
	}
	earlier := int(min(meta.NumDelivered, 1<<30)) - 1
	if _, delayed := notBefore(raw.Header); delayed && earlier > 0 {
		earlier-- // whoever got it too early gave it back
	}
	// A lease that is lost takes AckWait. NATS counts besides what it could not
	// deliver since a pull was taken back at that moment.
	age := received.Sub(meta.Timestamp)
	earlier = min(earlier, max(int((age+q.ackWait/2)/q.ackWait), 0))
	m.attempt = count(raw.Header, hdrDeliveries) + earlier + 1
	m.crashes = count(raw.Header, hdrCrashes) + earlier
	return m, nil
}

// deliveredAt is when the lease began, as far as can be told, and no later. What
// is received may have lain in a buffer; but it was delivered after the proof,
// and not before it was stored, which for most messages is just before.
func deliveredAt(received, proof, stored time.Time, ackWait time.Duration) time.Time {
	at := received
	if !proof.IsZero() && proof.Before(received) {
		at = proof
	}
	lag := received.Sub(stored)
	if lag > 0 && lag <= ackWait/4 && (proof.IsZero() || received.Add(-lag).After(at)) {
		return received.Add(-lag)
	}
	return at
}

func (m *message) Headers() occamy.Headers { return m.headers }
func (m *message) Body() []byte            { return m.raw.Data }
func (m *message) Attempt() int            { return m.attempt }
func (m *message) AckWait() time.Duration  { return m.ackWait }

// KeepAlive renews the lease, from the moment in which the request was sent
// that NATS confirmed.
func (m *message) KeepAlive(ctx context.Context) error {
	if m.lease.isSettled() {
		return nil
	}
	return m.confirm(ctx, "+WPI")
}

// Ack implements occamy.Message. The progress is removed in the background.
func (m *message) Ack(ctx context.Context) error {
	if err := m.finish(ctx); err != nil {
		return err
	}
	m.forgetProgress()
	return nil
}

// finish removes the message from its queue.
func (m *message) finish(ctx context.Context) error {
	if err := m.confirm(ctx, "+ACK"); err != nil {
		return err
	}
	m.lease.settle()
	return nil
}

// confirm sends word of this delivery until NATS confirms it, while the
// delivery is ours.
func (m *message) confirm(ctx context.Context, word string) error {
	return m.b.retry(ctx, func() error {
		if err := m.lease.lost(); err != nil {
			return err
		}
		sent := time.Now()
		_, err := m.b.ask(ctx, m.raw.Reply, nil, []byte(word), min(tryTime, m.lease.left()))
		if err == nil {
			m.lease.renew(sent)
		}
		return err
	})
}

// Reject implements occamy.Message.
func (m *message) Reject(ctx context.Context, requeue bool) error {
	if requeue {
		return m.RequeueAfter(ctx, 0)
	}
	return m.RejectFor(ctx, "rejected")
}

// RequeueAfter publishes a copy, which bears the counts of this one and the
// moment before which nobody runs it, and then removes the original.
func (m *message) RequeueAfter(ctx context.Context, delay time.Duration) error {
	h := userHeaders(m.raw.Header)
	h[hdrDeliveries] = []string{strconv.Itoa(m.attempt)}
	if m.crashes > 0 {
		h[hdrCrashes] = []string{strconv.Itoa(m.crashes)}
	}
	if m.id == "" {
		h[hdrOrigin] = []string{m.key}
	}
	if delay > 0 {
		h[hdrNotBefore] = []string{strconv.FormatInt(time.Now().Add(delay).UnixNano(), 10)}
	}
	err := m.lease.hold(ctx, func(ctx context.Context) error {
		return m.b.publish(ctx, m.raw.Subject, "copy."+m.delivery, h, m.raw.Data, 0)
	})
	if isTooLarge(err) {
		// Somebody else published it, up to the last byte that NATS takes.
		return m.nak(ctx, delay)
	}
	if err != nil {
		return err
	}
	return m.finish(ctx)
}

// nak gives the delivery back. It counts as one that was lost.
func (m *message) nak(ctx context.Context, delay time.Duration) error {
	word := "-NAK"
	if delay > 0 {
		word += ` {"delay":` + strconv.FormatInt(int64(delay), 10) + `}`
	}
	if err := m.confirm(ctx, word); err != nil {
		return err
	}
	m.lease.settle()
	return nil
}

// RejectFor publishes a dead letter and then removes the message.
func (m *message) RejectFor(ctx context.Context, reason string) error {
	err := m.lease.hold(ctx, func(ctx context.Context) error { return m.publishDead(ctx, reason) })
	if err != nil {
		return err
	}
	if err := m.finish(ctx); err != nil {
		return err
	}
	m.forgetProgress()
	return nil
}

// PublishOutcome implements occamy.OutcomePublisher.
func (m *message) PublishOutcome(ctx context.Context, o occamy.Outcome) error {
	if o.ID == "" {
		o.ID = m.id
	}
	return m.lease.hold(ctx, func(ctx context.Context) error {
		return m.b.publishOutcome(ctx, m.delivery, o)
	})
}

func (b *Broker) publishOutcome(ctx context.Context, delivery string, o occamy.Outcome) error {
	if o.ID == "" {
		return nil // nobody can ask for it
	}
	body, err := broker.EncodeOutcome(o)
	if err != nil {
		return err
	}
	return b.publish(ctx, b.names.outcome(o.ID), "", nil, body, 0)
}

// PublishProgress implements occamy.ProgressKeeper.
func (m *message) PublishProgress(ctx context.Context, progress []byte) error {
	m.lease.mu.Lock()
	m.progressed = true
	m.lease.mu.Unlock()
	return m.lease.hold(ctx, func(ctx context.Context) error {
		return m.b.publish(ctx, m.b.names.progress(m.key), "", nil, progress, 0)
	})
}

// LastProgress implements occamy.ProgressKeeper.
func (m *message) LastProgress(ctx context.Context) ([]byte, error) {
	return m.b.lastProgress(ctx, m.key)
}

// forgetProgress removes what this attempt or an earlier one reported. Nobody
// waits for it: progress that is left behind ends with ProgressAge.
func (m *message) forgetProgress() {
	m.lease.mu.Lock()
	there := m.progressed || m.attempt > 1
	m.lease.mu.Unlock()
	if !there {
		return
	}
	if err := m.b.dropProgress(m.key); err != nil {
		m.b.cfg.OnError(fmt.Errorf("remove the progress of %q: %w", m.id, err))
	}
}
