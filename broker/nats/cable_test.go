package nats_test

import (
	"errors"
	"net"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// cable is the way of one connection to its NATS server; it can be cut, and it
// can hold back what comes from there.
type cable struct {
	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
	flows sync.RWMutex // write-locked while it holds back
}

// hold holds back all that comes, until the returned function is called.
func (c *cable) hold() (release func()) {
	c.flows.Lock()
	return c.flows.Unlock
}

type heldConn struct {
	net.Conn
	cable *cable
}

func (h heldConn) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.cable.flows.RLock()
	defer h.cable.flows.RUnlock()
	return n, err
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
	if err != nil {
		return nil, err
	}
	c.conns[conn] = struct{}{}
	return heldConn{conn, c}, nil
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
