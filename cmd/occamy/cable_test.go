package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// cable is a TCP connection to a broker that a test can pull out.
type cable struct {
	net.Listener
	to string

	mu    sync.Mutex
	out   bool
	conns map[net.Conn]struct{}
	all   sync.WaitGroup
}

// newCable leads to an address, which is HOST:PORT.
func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l, to: to, conns: make(map[net.Conn]struct{})}
	c.all.Go(c.accept)
	t.Cleanup(func() {
		_ = l.Close()
		c.pull()
		c.all.Wait()
	})
	return c
}

func (c *cable) accept() {
	for {
		near, err := c.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil || !c.keep(near, far) {
			_ = near.Close()
			if err == nil {
				_ = far.Close()
			}
			continue
		}
		c.all.Go(func() { c.carry(near, far) })
		c.all.Go(func() { c.carry(far, near) })
	}
}

func (c *cable) keep(ends ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range ends {
		if !c.out {
			c.conns[end] = struct{}{}
		}
	}
	return !c.out
}

func (c *cable) carry(to, from net.Conn) {
	_, _ = io.Copy(to, from) // ends when either end does
	_, _ = to.Close(), from.Close()
}

// pull cuts what is connected, and whatever comes until plug.
func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = true
	for end := range c.conns {
		_ = end.Close()
	}
	clear(c.conns)
}

func (c *cable) plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = false
}
