package broker

import "context"

// Pinger is implemented by a Broker that can tell whether it reaches its broker
// now, for instance for a readiness probe.
type Pinger interface {
	// Ping returns nil once the broker has answered. Unlike other methods it
	// does not wait for a lost connection to come back: without one it returns
	// an error at once. It returns ErrClosed after Close.
	Ping(ctx context.Context) error
}
