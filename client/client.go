package client

import (
	"time"

	"github.com/occamy-go/occamy"
)

// Client sends requests and messages through one broker. It is safe for use by
// several goroutines and holds nothing that must be closed; the broker belongs
// to whoever opened it.
type Client struct {
	b     Broker
	keys  occamy.HeaderKeys
	grace time.Duration
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

// New returns a client of a broker.
func New(b Broker, opts ...Option) *Client {
	c := &Client{b: b, keys: occamy.DefaultHeaderKeys(), grace: DefaultGrace}
	for _, o := range opts {
		o(c)
	}
	return c
}
