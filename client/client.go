package client

import (
	"context"
	"time"

	"github.com/occamy-go/occamy"
)

// Client sends requests and messages through one broker. It is safe for use by
// several goroutines and holds nothing that must be closed; the broker belongs
// to whoever opened it.
type Client struct {
	b      Broker
	keys   occamy.HeaderKeys
	grace  time.Duration
	inject func(context.Context, occamy.Headers)
}

// Option changes how a Client works.
type Option func(*Client)

// WithHeaderKeys has the client use other header keys than the defaults. They
// must be those of the servers and of the broker's adapter. Empty fields keep
// their defaults.
func WithHeaderKeys(k occamy.HeaderKeys) Option {
	return func(c *Client) { c.keys = k.WithDefaults() }
}

// DefaultGrace is how long Control repeats a message that nobody took.
const DefaultGrace = 5 * time.Second

// WithGrace sets how long Control repeats a message that nobody took. Zero or
// less: it is sent once. Without this option: DefaultGrace.
func WithGrace(d time.Duration) Option {
	return func(c *Client) { c.grace = d }
}

// WithInject has f add to the headers of each request and optional request that
// is sent, for instance the context of a trace, which ctx has. What it sets wins
// over the request's own headers. It is called by several goroutines.
func WithInject(f func(ctx context.Context, headers occamy.Headers)) Option {
	return func(c *Client) { c.inject = f }
}

// New returns a client of a broker.
func New(b Broker, opts ...Option) *Client {
	c := &Client{b: b, keys: occamy.DefaultHeaderKeys(), grace: DefaultGrace}
	for _, o := range opts {
		o(c)
	}
	return c
}
