package nats

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Errors about the streams and consumers that an operator owns. What wraps them
// says what to do.
var (
	// ErrMissing: a stream or a consumer is not there, and Config.NoCreate
	// says that it is not to be made. The error names the configuration that
	// is wanted.
	ErrMissing = errors.New("nats: missing")

	// ErrUnsuitable: a stream or a consumer has settings with which requests
	// would be lost, or run at the wrong time. The error names each of them
	// and what it should be.
	ErrUnsuitable = errors.New("nats: unsuitable")
)

// faults gathers what is wrong with a stream or a consumer.
type faults struct {
	what string
	all  []string
}

func (f *faults) add(wrong bool, format string, args ...any) {
	if wrong {
		f.all = append(f.all, fmt.Sprintf(format, args...))
	}
}

func (f *faults) err() error {
	if len(f.all) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s: %s", ErrUnsuitable, f.what, strings.Join(f.all, "; "))
}

// checkStream says what of a stream would break promises. Limits, replicas,
// placement, storage and age are the operator's own.
func (b *Broker) checkStream(id streamID, has jetstream.StreamConfig) error {
	want := b.streams()[id]
	f := faults{what: "stream " + has.Name}
	f.add(has.Mirror != nil, "it is a mirror, which takes no messages; want a stream of its own")
	f.add(has.Sealed, "it is sealed; make a new one")
	f.add(has.NoAck, "no_ack is on, so nothing is ever confirmed; set it to false")
	if id == requestsStream {
		f.add(has.Retention != jetstream.WorkQueuePolicy,
			"its retention is %s, with which requests stay when they are done or go before they are; "+
				"want workqueue, which NATS sets only when a stream is made: make it anew", has.Retention)
		limited := has.MaxMsgs > 0 || has.MaxBytes > 0 || has.MaxMsgsPerSubject > 0
		f.add(limited && has.Discard == jetstream.DiscardOld,
			"it is limited and discards the oldest requests when it is full; set discard to new, so that Submit waits instead")
	} else {
		f.add(has.Retention == jetstream.InterestPolicy, "its retention is interest, with which it keeps nothing; want limits: make it anew")
		f.add(!covers(has.Subjects, want.Subjects[0]), "it takes %s; add the subject %s", list(has.Subjects), want.Subjects[0])
	}
	f.add(id == deadStream && has.DenyDelete, "deny_delete is on, so a dead letter that was retried stays; make it anew without")
	f.add((id == outcomesStream || id == progressStream) && has.DenyPurge, "deny_purge is on, so nothing can be removed when it is over; make it anew without")
	return f.err()
}

// takes says whether a stream has a subject; an operator may list those of
// requests one by one.
func takes(has jetstream.StreamConfig, subject string) error {
	f := faults{what: "stream " + has.Name}
	f.add(!covers(has.Subjects, subject), "it takes %s; add the subject %s", list(has.Subjects), subject)
	return f.err()
}

// checkConsumer says what of a consumer would break promises.
func (b *Broker) checkConsumer(info *jetstream.ConsumerInfo, want jetstream.ConsumerConfig, slots int) error {
	has := info.Config
	f := faults{what: fmt.Sprintf("consumer %s of stream %s", info.Name, b.names.requests)}
	f.add(has.DeliverSubject != "", "it pushes; want a pull consumer: make it anew without a deliver subject")
	f.add(has.AckPolicy != jetstream.AckExplicitPolicy, "its ack policy is %s; want explicit: make it anew", has.AckPolicy)
	filters := filtersOf(has)
	f.add(len(filters) != 1 || filters[0] != want.FilterSubject, "it filters %s; want %s alone, a consumer for each kind", list(filters), want.FilterSubject)
	f.add(has.MaxDeliver > 0 && has.MaxDeliver <= b.cfg.MaxDeliver+1,
		"its max_deliver is %d, at which NATS drops a request before it becomes a dead letter, after %d lost deliveries; set it to -1, or more than %d",
		has.MaxDeliver, b.cfg.MaxDeliver, b.cfg.MaxDeliver+1)
	f.add(has.MaxAckPending > 0 && has.MaxAckPending < slots,
		"its max_ack_pending is %d, for all servers together, and this one alone has %d slots; set it to -1, or to the slots of all servers", has.MaxAckPending, slots)
	f.add(leaseOf(has) < minAckWait, "its ack_wait (or the least of its backoff) is %v; set it to %v at least", leaseOf(has), minAckWait)
	f.add(has.HeadersOnly, "headers_only is on; set it to false")
	f.add(has.ReplayPolicy != jetstream.ReplayInstantPolicy, "its replay policy is %s; want instant: make it anew", has.ReplayPolicy)
	f.add(len(has.PriorityGroups) > 0, "it has priority groups, which servers do not join; remove them")
	return f.err()
}

// minAckWait is the shortest lease that can be kept.
const minAckWait = 100 * time.Millisecond

func filtersOf(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

func list(subjects []string) string {
	if len(subjects) == 0 {
		return "no subject"
	}
	return strings.Join(subjects, ", ")
}

// covers says whether one of some patterns matches all that subject, which may
// be a pattern itself, matches.
func covers(patterns []string, subject string) bool {
	for _, p := range patterns {
		if coversOne(strings.Split(p, "."), strings.Split(subject, ".")) {
			return true
		}
	}
	return false
}

func coversOne(pattern, subject []string) bool {
	for i, p := range pattern {
		switch {
		case p == ">":
			return len(subject) > i
		case i >= len(subject), subject[i] == ">":
			return false
		case p != "*" && p != subject[i]:
			return false
		}
	}
	return len(pattern) == len(subject)
}

func missingStream(want jetstream.StreamConfig) error {
	text := "retention " + strings.ToLower(want.Retention.String()) + ", storage file"
	if want.Replicas > 1 {
		text += ", replicas " + strconv.Itoa(want.Replicas)
	}
	if want.MaxMsgsPerSubject > 0 {
		text += ", max_msgs_per_subject " + strconv.FormatInt(want.MaxMsgsPerSubject, 10)
	}
	if want.MaxAge > 0 {
		text += ", max_age " + want.MaxAge.String()
	}
	return fmt.Errorf("%w: stream %s, which NoCreate leaves to you: create it with subjects %s, %s",
		ErrMissing, want.Name, list(want.Subjects), text)
}

func missingConsumer(stream string, want jetstream.ConsumerConfig) error {
	return fmt.Errorf("%w: a consumer of stream %s, which NoCreate leaves to you: create a durable pull consumer of any name with filter_subject %s, "+
		"ack_policy explicit, ack_wait %v, max_deliver -1, max_ack_pending -1", ErrMissing, stream, want.FilterSubject, want.AckWait)
}
