//go:build services

package rabbitmq_test

import (
	"context"
	"errors"
	"net"
	"sync"
)

// cable is the way of one Broker to its RabbitMQ; it can be cut.
type cable struct {
	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
}

func newCable() *cable { return &cable{conns: make(map[net.Conn]struct{})} }

var errCable = errors.New("the cable is cut")

// dial is for Config.Dial: the connection goes over the cable.
func (c *cable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errCable
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		c.conns[conn] = struct{}{}
	}
	return conn, err
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
	for conn := range c.conns {
		_ = conn.Close() // the test is about what follows
		delete(c.conns, conn)
	}
}

func (c *cable) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}
