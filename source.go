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
	// Several calls at a time, with the same or different intakes, are allowed.
	Consume(ctx context.Context, in Intake) error
}

// Intake is what a Source feeds; a [Server] gives it to the source that it
// serves. Its methods may be called from any goroutine.
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
	// nobody has been promised yet, and promises up to most to the caller. A
	// source that pulls asks its broker for no more than it was promised. It
	// returns an error when ctx ends, and ErrServerClosed after Shutdown.
	Acquire(ctx context.Context, most int) (int, error)

	// Release gives n promises back, either because the broker had no message
	// for them or because the message has been handed to HandleRequest.
	Release(n int)

	// Withdrawn returns a channel that is closed when the promises given so
	// far should be given back soon, since the server drains or shuts down.
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
