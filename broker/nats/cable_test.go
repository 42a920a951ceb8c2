package nats_test

import (
	"errors"
	"net"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// cable is the way of one connection to its NATS server; it can be cut.
type cable struct {
	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
}

func newCable() *cable { return &cable{conns: make(map[net.Conn]struct{})} }

var errCable = errors.New("the cable is cut")

// splice is an option of a connection: it goes over the cable.
func (c *cable) splice(o *natsgo.Options) error {
	if server := o.InProcessServer; server != nil {
		o.InProcessServer = inProcess(func() (net.Conn, error) { return c.open(server.InProcessConn) })
		return nil
	}
	o.CustomDialer = dialer(func(network, address string) (net.Conn, error) {
		return c.open(func() (net.Conn, error) { return net.DialTimeout(network, address, time.Second) })
	})
	return nil
}

type inProcess func() (net.Conn, error)

func (f inProcess) InProcessConn() (net.Conn, error) { return f() }

type dialer func(network, address string) (net.Conn, error)

func (f dialer) Dial(network, address string) (net.Conn, error) { return f(network, address) }

func (c *cable) open(dial func() (net.Conn, error)) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errCable
	}
	conn, err := dial()
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
