package occamy

import (
	"context"
	"time"
)

// Headers are the key-value pairs of a message. Their values come from
// outside and are never trusted: a value of the wrong type is an
// [ErrInvalidHeader], never a panic. Brokers differ in the types that they
// carry (AMQP has integers and tables, NATS strings only), so the headers that
// Occamy reads are strings, or documented otherwise at [HeaderKeys].
type Headers map[string]any

// Message is what a broker delivers. An implementation wraps a delivery of its
// broker. The server settles each request message once, by Ack or Reject or by
// one of the optional abilities below, and never again after one of them
// returned nil; it may call them again after an error.
//
// The methods are called from any goroutine. Headers and Body return the same
// value each time; nobody changes what they return.
//
// What a message can do beyond this it says by implementing [AsyncAcker], [Leased],
// [LossNotifier], [Releaser], [DelayedRequeuer], [ReasonedRejecter], [Attempter],
// [OutcomePublisher], [ProgressKeeper] or [Unkept].
type Message interface {
	Headers() Headers
	Body() []byte

	// Ack tells the broker that the message is done with. It returns once the
	// broker has confirmed it, where the broker confirms at all.
	Ack(ctx context.Context) error

	// Reject gives the message back to the broker: to be delivered again,
	// perhaps to another server, when requeue is true; for good otherwise, to
	// the dead letters where the broker has them. A requeue is an orderly
	// hand-over: it must not count towards a limit that is meant for crashes.
	Reject(ctx context.Context, requeue bool) error
}

// AsyncAcker is a Message whose Ack needs no goroutine that waits for the broker,
// and may travel together with others.
type AsyncAcker interface {
	// AckAsync begins an Ack and does not block. done is called once, from any
	// goroutine and perhaps before AckAsync returns, with what Ack would have
	// returned; it does not block either. ctx is as for Ack, until then.
	AckAsync(ctx context.Context, done func(error))
}

// Unkept is a control message or an optional request that its broker does not
// keep, so that there is nothing to ack: the server does not.
type Unkept interface{ Unkept() }

// Leased is a Message which the broker gives to somebody else unless it hears
// from its holder in time. The server keeps such a message alive from the
// moment it takes it until it is settled. When no keep-alive was confirmed for
// one AckWait, less a margin, counted from the sending of the last confirmed
// one, the server takes the delivery for lost: the task is stopped with
// [ErrDeliveryLost] and the message is never settled.
type Leased interface {
	// AckWait is how long the broker waits; it does not change. Zero or less
	// means that there is no lease.
	AckWait() time.Duration

	// KeepAlive starts the wait anew. It returns nil only once the broker has
	// confirmed it.
	KeepAlive(ctx context.Context) error
}

// LossNotifier is a Message whose delivery can be lost at a known moment, such
// as the closing of an AMQP channel.
type LossNotifier interface {
	// NotifyLost has f called once, from any goroutine, when the delivery is
	// lost; at once when it is lost already. f does not block. It is not
	// called after the message was settled.
	NotifyLost(f func())
}

// Releaser is a Message that stays with its holder until it is settled, however
// long that takes. The server releases what it could not settle within
// SettleTimeout, so that the broker delivers it again.
type Releaser interface {
	// Release gives the message back; the broker may count that as a failure.
	// It does not block. What is settled, or lost, is left as it is.
	Release()
}

// DelayedRequeuer is a Message that can be requeued so that it is delivered
// again after a delay. Without it the server waits out a delay itself and then
// calls Reject.
type DelayedRequeuer interface {
	RequeueAfter(ctx context.Context, delay time.Duration) error
}

// ReasonedRejecter is a Message that keeps the reason for which it was
// rejected, so that the dead letter tells it.
type ReasonedRejecter interface {
	RejectFor(ctx context.Context, reason string) error
}

// Attempter is a Message that knows how often its request has been delivered.
type Attempter interface {
	// Attempt is 1 for the first delivery.
	Attempt() int
}

// OutcomePublisher is a request message whose outcome can reach whoever sent
// it. The server publishes before it acks or rejects, so a client that waits
// always gets an end.
type OutcomePublisher interface {
	// PublishOutcome returns nil once the broker has confirmed that it keeps
	// the outcome. An error that wraps ErrTooLarge is final.
	PublishOutcome(ctx context.Context, o Outcome) error
}

// ProgressKeeper is a request message whose task can report progress. The last
// progress is kept by request ID and handed to the next attempt; it is removed
// when the request is acked or rejected.
type ProgressKeeper interface {
	// PublishProgress replaces the progress that is kept.
	PublishProgress(ctx context.Context, progress []byte) error

	// LastProgress returns what an attempt reported last, nil when there is
	// nothing.
	LastProgress(ctx context.Context) ([]byte, error)
}

// OutcomeStatus says how a request ended.
type OutcomeStatus string

// The ends of a request. A requeue is not an end, so it has no outcome.
const (
	Completed OutcomeStatus = "completed" // Do returned nil
	Cancelled OutcomeStatus = "cancelled" // by command
	Rejected  OutcomeStatus = "rejected"  // for good; Reason says why
)

// Outcome is the end of a request as its sender learns it.
type Outcome struct {
	ID      string        `json:"id"`
	Kind    string        `json:"kind"`
	Status  OutcomeStatus `json:"status"`
	Result  []byte        `json:"result,omitempty"` // as SetResult had it; nil for none
	Reason  string        `json:"reason,omitempty"` // of a rejection
	Attempt int           `json:"attempt"`          // 1 for the first
	Server  string        `json:"server"`           // the ID of the server that settled it
}
