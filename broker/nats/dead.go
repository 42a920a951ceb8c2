package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/internal/token"
)

// maxReason is how much of a reason a dead letter keeps, in bytes as it
// travels, as far as there is room; minReason fits into what Submit leaves free.
const (
	maxReason = maxHeaders / 2
	minReason = headroom / 16
)

func isTooLarge(err error) bool { return errors.Is(err, occamy.ErrTooLarge) }

// publishDead publishes a message as a dead letter. A message that somebody
// else published up to the limits of NATS loses its headers or its body, which
// the reason tells.
func (m *message) publishDead(ctx context.Context, reason string) error {
	h := userHeaders(m.raw.Header)
	h[hdrDeliveries] = []string{strconv.Itoa(m.attempt)}
	h[hdrKind] = []string{strconv.QuoteToASCII(m.kind)}
	h[hdrID] = []string{strconv.QuoteToASCII(m.id)}
	subject, id := m.b.names.deadLetter(m.kind, m.id), "dead."+m.delivery.String()

	var err error
	for _, limit := range []int{maxReason, minReason} {
		h[hdrReason] = []string{quoteReason(reason, limit)}
		if err = m.b.publish(ctx, deadStream, subject, id, h, m.raw.Data, 0); !isTooLarge(err) {
			return err
		}
	}
	short, body := cut(reason, minReason), m.raw.Data
	if n := headerSize(h); n > maxHeaders-minReason {
		for key := range userHeaders(h) {
			delete(h, key)
		}
		h[hdrReason] = []string{quoteReason(fmt.Sprintf("its headers of %d bytes did not fit into a dead letter: %s", n, short), 2*minReason)}
		if err = m.b.publish(ctx, deadStream, subject, id, h, body, 0); !isTooLarge(err) {
			return err
		}
	}
	h[hdrReason] = []string{quoteReason(fmt.Sprintf("its body of %d bytes did not fit into a dead letter: %s", len(body), short), 2*minReason)}
	return m.b.publish(ctx, deadStream, subject, id, h, nil, 0)
}

// bury makes a dead letter of a message whose deliveries were lost too often,
// and tells whoever waits for it.
func (m *message) bury(ctx context.Context) error {
	o := broker.LimitReached(m.id, m.kind, m.crashes)
	if err := m.PublishOutcome(ctx, o); err != nil {
		return err
	}
	m.attempt-- // this delivery reached nobody
	return m.RejectFor(ctx, o.Reason)
}

// DeadLetters implements broker.Broker.
func (b *Broker) DeadLetters(ctx context.Context, limit int) ([]broker.DeadLetter, error) {
	if err := b.usable(); err != nil {
		return nil, err
	}
	letters := []broker.DeadLetter{}
	for seq := uint64(1); limit <= 0 || len(letters) < limit; {
		s, err := b.get(ctx, b.names.dead, map[string]any{"seq": seq, "next_by_subj": b.names.allDead()})
		if errors.Is(err, broker.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		letters = append(letters, b.deadLetter(s))
		seq = s.Sequence + 1
	}
	return letters, nil
}

// DeadLetter implements broker.Broker.
func (b *Broker) DeadLetter(ctx context.Context, id string) (broker.DeadLetter, error) {
	s, err := b.findDead(ctx, id)
	if err != nil {
		return broker.DeadLetter{}, err
	}
	return b.deadLetter(s), nil
}

// keyPrefix begins the key of a dead letter, which ends with its sequence
// number.
const keyPrefix = "dead-"

func (b *Broker) findDead(ctx context.Context, id string) (stored, error) {
	if err := b.usable(); err != nil {
		return stored{}, err
	}
	s, err := b.lastBySubject(ctx, b.names.dead, b.names.deadOf(id))
	if !errors.Is(err, broker.ErrNotFound) {
		return s, err
	}
	text, ok := strings.CutPrefix(id, keyPrefix)
	if seq, parseErr := strconv.ParseUint(text, 10, 64); ok && parseErr == nil && seq > 0 {
		s, err = b.get(ctx, b.names.dead, map[string]uint64{"seq": seq})
	}
	if err != nil {
		return stored{}, fmt.Errorf("dead letter %q: %w", id, err)
	}
	return s, nil
}

func (b *Broker) deadLetter(s stored) broker.DeadLetter {
	h := s.headers()
	body := s.Data
	if body == nil {
		body = []byte{}
	}
	headers, _ := decodeHeaders(h)
	return broker.DeadLetter{
		Key:      keyPrefix + strconv.FormatUint(s.Sequence, 10),
		ID:       unquoteReason(first(h, hdrID)),
		Kind:     deadKind(s, h),
		Reason:   unquoteReason(first(h, hdrReason)),
		Time:     s.Time,
		Attempts: count(h, hdrDeliveries),
		Headers:  headers,
		Body:     body,
	}
}

func deadKind(s stored, h natsgo.Header) string {
	if kind := unquoteReason(first(h, hdrKind)); kind != "" {
		return kind
	}
	return kindOfDead(s.Subject)
}

// kindOfDead reads the kind from the subject of a dead letter.
func kindOfDead(subject string) string {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 2 {
		return ""
	}
	t := tokens[len(tokens)-2]
	if kind, ok := token.Text(t); ok {
		return kind
	}
	return t
}

// Retry implements broker.Broker. The request bears its old ID, and goes to the
// end of its queue.
func (b *Broker) Retry(ctx context.Context, id string) error {
	s, err := b.findDead(ctx, id)
	if err != nil {
		return err
	}
	h, letter := s.headers(), b.deadLetter(s)
	if letter.Kind == "" {
		return fmt.Errorf("dead letter %q: %w: it has no kind", id, broker.ErrInvalid)
	}
	if letter.ID != "" {
		// First, since a server may settle the request before we go on.
		if err := b.purge(ctx, b.names.outcomes, b.names.outcome(letter.ID)); err != nil {
			return err
		}
	}
	once := fmt.Sprintf("retry.%d.%d", s.Sequence, s.Time.UnixNano())
	if err := b.publish(ctx, requestsStream, b.names.request(letter.Kind), once, userHeaders(h), s.Data, 0); err != nil {
		return err
	}
	_, err = api[apiAnswer](ctx, b, "STREAM.MSG.DELETE."+b.names.dead, map[string]any{"seq": s.Sequence, "no_erase": true})
	if errors.Is(err, broker.ErrNotFound) {
		return nil // somebody else retried it too; NATS kept one of the two
	}
	return err
}
