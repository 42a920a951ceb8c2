// Package broker is the seam through which messages reach a server and leave a
// client. A Broker is one adapter's connection; there is a package for each,
// and brokertest holds the conformance suite that all of them pass. Nothing
// here knows of slots or tasks.
package broker

import (
	"context"
	"errors"
	"time"

	"github.com/occamy-go/occamy"
)

// Errors that every adapter gives.
var (
	// ErrNotFound: there is no such result or dead letter.
	ErrNotFound = errors.New("broker: not found")
	// ErrNobody: no server took a control message, since none runs a task
	// that bears the ID and takes control messages.
	ErrNobody = errors.New("broker: no running task bears that ID and takes control messages")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("broker: closed")
)

// Broker is a connection to a broker, for servers and clients alike. Its
// methods are safe for use by several goroutines. A lost connection comes back
// by itself; methods wait for that until their ctx ends.
type Broker interface {
	// Consume is for servers; see occamy.Source.
	occamy.Source

	// Submit hands a request to the broker and returns once the broker has
	// confirmed that it keeps it. An error that wraps occamy.ErrTooLarge is
	// final; after any other the request may have been kept all the same, and
	// submitting it again with the same ID within two minutes does not make it
	// two where the broker can tell.
	Submit(ctx context.Context, r Request) error

	// Optional sends an optional request to every server that knows its kind.
	// It reaches those that are there now.
	Optional(ctx context.Context, r Request) error

	// Control sends a control message to the running tasks that bear its ID.
	// It returns ErrNobody when no server took it.
	Control(ctx context.Context, id string, headers occamy.Headers, body []byte) error

	// Command sends a command (see occamy.HeaderKeys.Command) to every server.
	// headers has the command and its target.
	Command(ctx context.Context, headers occamy.Headers) error

	// Result returns the outcome of a request, or ErrNotFound while there is
	// none. Outcomes are kept for a time that the adapter documents.
	Result(ctx context.Context, id string) (occamy.Outcome, error)

	// Watch returns the progress of a request as it is reported and then its
	// outcome, which is the last event; an outcome that is there already is
	// the only one. Once Watch has returned nothing that follows is missed,
	// save progress that a newer one replaced. The channel is closed after the
	// outcome, and when ctx ends.
	Watch(ctx context.Context, id string) (<-chan Event, error)

	// DeadLetters returns up to limit dead letters, oldest first; all for a
	// limit of zero.
	DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error)

	// DeadLetter returns the newest one that has the key or request ID, or
	// ErrNotFound.
	DeadLetter(ctx context.Context, id string) (DeadLetter, error)

	// Retry submits a dead letter again, as a first attempt, and removes it
	// once the broker has confirmed that. Its old outcome is removed.
	Retry(ctx context.Context, id string) error

	// Queues returns how deep the queues of all kinds are.
	Queues(ctx context.Context) ([]Queue, error)

	// Servers asks every server for its snapshot and returns those that answer
	// within wait, sorted by ID.
	Servers(ctx context.Context, wait time.Duration) ([]occamy.Snapshot, error)

	// Name says which broker this is and where, without any secret: for people.
	Name() string

	// Close ends Consume, Watch and all other calls with ErrClosed and frees
	// the connection. It may be called again.
	Close() error
}

// NewWatcher is implemented by a Broker for which it costs something to find out
// that there is no outcome yet.
type NewWatcher interface {
	// WatchNew is Watch for an ID that no request has borne and one is about to,
	// which will be submitted over this connection. Of any other request it may
	// tell nothing.
	WatchNew(ctx context.Context, id string) (<-chan Event, error)
}

// Request is a request or an optional request. The adapter puts Kind and ID
// into the headers by the keys it was made with; the rest of Headers goes as it
// is.
type Request struct {
	Kind    string
	ID      string
	Headers occamy.Headers
	Body    []byte
}

// Event is what Watch tells: one of the two is set.
type Event struct {
	Progress []byte
	Outcome  *occamy.Outcome
}

// DeadLetter is a request that was rejected for good, or whose delivery limit
// was reached.
type DeadLetter struct {
	Key      string         `json:"key"` // names it among dead letters
	ID       string         `json:"id"`
	Kind     string         `json:"kind"`
	Reason   string         `json:"reason"`
	Time     time.Time      `json:"time"`
	Attempts int            `json:"attempts"`
	Headers  occamy.Headers `json:"headers"`
	Body     []byte         `json:"body"`
}

// Queue is the queue of one kind.
type Queue struct {
	Kind    string `json:"kind"`
	Ready   int    `json:"ready"`   // wait for a server
	Unacked int    `json:"unacked"` // are with a server
	Dead    int    `json:"dead"`    // dead letters
}
