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
	pump    *pump // that has pulled it
	raw     *natsgo.Msg
	headers occamy.Headers
	lease   lease
	ackWait time.Duration

	kind, id string
	key      string // what progress is kept under
	delivery delivery
	attempt  int
	crashes  int // deliveries that were lost before this one

	progressed bool // guarded by lease.mu

	acking ackCall // of AckAsync
}

var (
	_ occamy.Message          = (*message)(nil)
	_ occamy.AsyncAcker       = (*message)(nil)
	_ occamy.Leased           = (*message)(nil)
	_ occamy.DelayedRequeuer  = (*message)(nil)
	_ occamy.ReasonedRejecter = (*message)(nil)
	_ occamy.Attempter        = (*message)(nil)
	_ occamy.OutcomePublisher = (*message)(nil)
	_ occamy.ProgressKeeper   = (*message)(nil)
)

func newMessage(p *pump, q queue, raw *natsgo.Msg, d delivery, began time.Time) *message {
	headers, own := decodeHeaders(raw.Header)
	m := &message{
		b: p.b, pump: p, raw: raw, headers: headers, delivery: d,
		lease: newLease(q.ackWait, began), ackWait: q.ackWait, kind: q.kind,
	}
	if _, ok := m.headers[p.keys.Kind]; !ok {
		m.headers[p.keys.Kind] = q.kind // published without Occamy
	}
	m.id, _ = broker.HeaderString(m.headers, p.keys.RequestID)
	if m.key = m.id; m.key == "" {
		if m.key = first(raw.Header, hdrOrigin); m.key == "" {
			m.key = "\x00" + d.source()
		}
	}
	m.attempt = 1
	if own || d.count > 1 {
		m.countDeliveries(d)
	}
	return m
}

// countDeliveries works out how often the request was delivered, and how often
// that was lost.
func (m *message) countDeliveries(d delivery) {
	earlier := d.count - 1
	if _, delayed := notBefore(m.raw.Header); delayed && earlier > 0 {
		earlier-- // whoever got it too early gave it back
	}
	// A lease that is lost takes AckWait. NATS counts besides what it could not
	// deliver since a pull was taken back at that moment.
	age := time.Since(d.stored)
	earlier = min(earlier, max(int((age+m.ackWait/2)/m.ackWait), 0))
	m.attempt = count(m.raw.Header, hdrDeliveries) + earlier + 1
	m.crashes = count(m.raw.Header, hdrCrashes) + earlier
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
	return m.confirm(ctx, wordKeep)
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
	if err := m.confirm(ctx, wordAck); err != nil {
		return err
	}
	m.lease.settle()
	return nil
}

// What NATS is told of a delivery.
var (
	wordAck  = []byte("+ACK")
	wordKeep = []byte("+WPI")
)

// confirm sends word of this delivery until NATS confirms it, while the
// delivery is ours.
func (m *message) confirm(ctx context.Context, word []byte) error {
	return m.confirmAfter(ctx, word, m.say(ctx, word))
}

// confirmAfter is confirm after a first try, which gave err.
func (m *message) confirmAfter(ctx context.Context, word []byte, err error) error {
	if !passing(err) {
		return err
	}
	return m.b.retryAfter(ctx, err, func() error { return m.say(ctx, word) })
}

func (m *message) say(ctx context.Context, word []byte) error {
	left := m.lease.left()
	if left <= 0 {
		return errLeaseOver
	}
	sent := time.Now()
	_, err := m.b.ask(ctx, m.raw.Reply, nil, word, min(tryTime, left))
	if err == nil {
		m.lease.renew(sent)
	}
	return err
}

// Reject implements occamy.Message.
func (m *message) Reject(ctx context.Context, requeue bool) error {
	if requeue {
		return m.RequeueAfter(ctx, 0)
	}
	return m.RejectFor(ctx, "rejected")
}

// maxDelay is one that a moment in nanoseconds can have behind it.
const maxDelay = 100 * 365 * 24 * time.Hour

// RequeueAfter publishes a copy, which bears the counts of this one and the
// moment before which nobody runs it, and then removes the original.
func (m *message) RequeueAfter(ctx context.Context, delay time.Duration) error {
	m.pump.awaitStill(ctx)
	h := userHeaders(m.raw.Header)
	h[hdrDeliveries] = []string{strconv.Itoa(m.attempt)}
	if m.crashes > 0 {
		h[hdrCrashes] = []string{strconv.Itoa(m.crashes)}
	}
	if m.id == "" {
		h[hdrOrigin] = []string{m.key}
	}
	if delay > 0 {
		h[hdrNotBefore] = []string{strconv.FormatInt(time.Now().Add(min(delay, maxDelay)).UnixNano(), 10)}
	}
	err := m.lease.hold(ctx, func(ctx context.Context) error {
		return m.b.publish(ctx, requestsStream, m.raw.Subject, "copy."+m.delivery.String(), h, m.raw.Data, 0)
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
	if err := m.confirm(ctx, []byte(word)); err != nil {
		return err
	}
	m.lease.settle()
	return nil
}

// RejectFor publishes a dead letter and then removes the message. The progress
// goes first, for who retries the dead letter begins anew.
func (m *message) RejectFor(ctx context.Context, reason string) error {
	err := m.lease.hold(ctx, func(ctx context.Context) error {
		m.removeProgress(ctx)
		return m.publishDead(ctx, reason)
	})
	if err != nil {
		return err
	}
	return m.finish(ctx)
}

// PublishOutcome implements occamy.OutcomePublisher.
func (m *message) PublishOutcome(ctx context.Context, o occamy.Outcome) error {
	if o.ID == "" {
		o.ID = m.id
	}
	return m.lease.hold(ctx, func(ctx context.Context) error {
		return m.b.publishOutcome(ctx, o)
	})
}

func (b *Broker) publishOutcome(ctx context.Context, o occamy.Outcome) error {
	if o.ID == "" {
		return nil // nobody can ask for it
	}
	body, err := broker.EncodeOutcome(o)
	if err != nil {
		return err
	}
	return b.publish(ctx, outcomesStream, b.names.outcome(o.ID), "", nil, body, 0)
}

// PublishProgress implements occamy.ProgressKeeper.
func (m *message) PublishProgress(ctx context.Context, progress []byte) error {
	m.lease.mu.Lock()
	m.progressed = true
	m.lease.mu.Unlock()
	return m.lease.hold(ctx, func(ctx context.Context) error {
		return m.b.publish(ctx, progressStream, m.b.names.progress(m.key), "", nil, progress, 0)
	})
}

// LastProgress implements occamy.ProgressKeeper.
func (m *message) LastProgress(ctx context.Context) ([]byte, error) {
	return m.b.lastProgress(ctx, m.key)
}

// forgetProgress removes what this attempt or an earlier one reported. Nobody
// waits for it: progress that is left behind ends with ProgressAge.
func (m *message) forgetProgress() {
	if !m.mayHaveProgress() {
		return
	}
	if err := m.b.dropProgress(m.key); err != nil {
		m.keptProgress(err)
	}
}

// removeProgress is forgetProgress that waits, though not longer than one try
// may take: a rejection does not fail for it.
func (m *message) removeProgress(ctx context.Context) {
	if !m.mayHaveProgress() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	if err := m.b.purge(ctx, m.b.names.progressStream(), m.b.names.progress(m.key)); err != nil {
		m.keptProgress(err)
	}
}

func (m *message) mayHaveProgress() bool {
	m.lease.mu.Lock()
	defer m.lease.mu.Unlock()
	return m.progressed || m.attempt > 1
}

func (m *message) keptProgress(err error) {
	m.b.cfg.OnError(fmt.Errorf("remove the progress of %q: %w", m.id, err))
}
