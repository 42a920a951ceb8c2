package occamy

import "context"

// Source is where messages come from: an adapter for a broker.
type Source interface {
	// Consume hands messages to in until ctx ends, and then returns nil; before
	// that only for an error that it cannot overcome, such as credentials that
	// are refused. A lost connection is not one: it comes back by itself,
	// without an end to its tries. Before it returns, what the broker has
	// delivered and in has not taken goes back to the broker; messages that
	// were handed over stay settleable.
	//
	// After Acquire has returned ErrServerClosed it asks its broker for no more
	// requests, but goes on handing over control messages until ctx ends, since
	// tasks may still run for a while: Serve ends ctx when Shutdown is over.
	//
	// Several calls at a time, with the same or different intakes, are allowed.
	Consume(ctx context.Context, in Intake) error
}

// Intake is what a Source feeds; a [Server] gives it to the source that it
// serves. Its methods may be called from any goroutine.
//
// The headers of a message have the header keys of Info().Keys. A request has
// the Kind header, with one of Info().Kinds, and the RequestID header where its
// sender gave it an ID. Of control messages, one for tasks has TaskID, a command
// has Command and its target, and an optional request has neither, but the
// headers of a request.
type Intake interface {
	// Info describes the server; it does not change.
	Info() Info

	// HandleRequest takes a request message. It does not block. From now on
	// the server settles the message.
	HandleRequest(m Message)

	// HandleControl takes a control message: one for tasks, a command, or an
	// optional request. It does not block. The server acks it whatever
	// comes of it: a rejection would dead-letter it once for each server.
	HandleControl(m Message)

	// Acquire waits until the server has room for a request message that
	// nobody has been promised yet, and promises 1 to most to the caller; a
	// most below 1 counts as 1. A source that pulls asks its broker for no more
	// than it was promised. It returns the cause of ctx when that ends, and
	// ErrServerClosed once Shutdown has begun.
	Acquire(ctx context.Context, most int) (int, error)

	// Release gives n promises back, either because the broker had no message
	// for them or because the message has been handed to HandleRequest.
	Release(n int)

	// Withdrawn returns a channel that is closed when the promises given so
	// far should be given back soon, since the server drains or shuts down.
	// Resume renews it, so fetch it before each call of Acquire: a drain that
	// comes at any moment afterwards closes the channel that was fetched.
	Withdrawn() <-chan struct{}

	// WatchTasks has w told of the tasks that take control messages, first of
	// those that run already, until stop is called.
	WatchTasks(w TaskWatcher) (stop func())

	// Snapshot returns what the server is doing.
	Snapshot() Snapshot
}

// Info describes a server to a source.
type Info struct {
	ID    string
	Kinds []string // sorted
	Slots int
	Keys  HeaderKeys // with the defaults filled in
}

// TaskWatcher learns which IDs control messages are wanted for. For each task
// TaskPlaced comes before TaskGone; several tasks may bear one ID, so calls
// must be counted. Neither blocks.
type TaskWatcher interface {
	TaskPlaced(id string)
	TaskGone(id string)
}
