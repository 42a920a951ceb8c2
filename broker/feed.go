package broker

import "context"

// Feed is implemented by a Broker that carries what servers announce to whoever
// watches them. What is announced is kept nowhere and confirmed by nobody: it
// reaches those that listen at that moment, at most once, and whoever listens
// must bear gaps.
type Feed interface {
	// Announce sends body to all who listen to the topic now. An error that wraps
	// occamy.ErrTooLarge is final; while the connection is away it is lost, with
	// an error or without. A topic is 1 to 32 of a-z, 0-9, - and _.
	Announce(ctx context.Context, topic string, body []byte) error

	// Listen returns once the broker knows, and from then on has take called for
	// each body that is announced on the topic, one at a time, until ctx ends or
	// Close is called. take does not block for long, or announcements are lost; body is
	// its own. Listening goes on after a lost connection has come back.
	Listen(ctx context.Context, topic string, take func(body []byte)) error
}
