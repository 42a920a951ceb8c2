package nats_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// proxy stands before a NATS server. It can hold back what the server sends on
// the connections that there are, or swallow what goes either way.
type proxy struct {
	listener net.Listener
	to       string
	over     sync.WaitGroup

	mu    sync.Mutex
	links []*proxied
}

type proxied struct {
	client, server net.Conn

	mu      sync.Mutex
	open    *sync.Cond
	held    bool
	swallow bool
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to}
	p.over.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.each(func(c *proxied) {
			c.set(false, false)
			_ = c.client.Close()
			_ = c.server.Close()
		})
		p.over.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &proxied{client: client, server: server}
		c.open = sync.NewCond(&c.mu)
		p.mu.Lock()
		p.links = append(p.links, c)
		p.mu.Unlock()
		p.over.Go(func() { c.copy(server, client) })
		p.over.Go(func() { c.copy(client, server) })
	}
}

func (c *proxied) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		c.mu.Lock()
		for c.held && to == c.client {
			c.open.Wait()
		}
		swallow := c.swallow
		c.mu.Unlock()
		if err != nil {
			return
		}
		var w io.Writer = to
		if swallow {
			w = io.Discard
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (c *proxied) set(held, swallow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.swallow = held, swallow
	c.open.Broadcast()
}

func (p *proxy) each(f func(*proxied)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.links {
		f(c)
	}
}

// A peer that says nothing any more, on a connection that looks open, is given
// up, and another connection made. Pings are hurried here; another test holds
// their true bound.
func TestAHalfOpenConnection(t *testing.T) {
	s := startServer(t, embedded.Config{RelaxSync: true})
	p := newProxy(t, s.URL()[len("nats://"):])
	client := open(t, nats.Config{URL: s.URL()})
	b := open(t, nats.Config{URL: p.url(), Options: []natsgo.Option{natsgo.PingInterval(100 * time.Millisecond)}})
	c := consume(t, b, 4, "k")
	submit(t, client, "k", "before")
	held := c.next(t)

	p.each(func(c *proxied) { c.set(false, true) })
	submitted := make(chan error, 1)
	go func() { submitted <- b.Submit(within(t), requestOf("k", "during", 1)) }()
	if err := <-submitted; err != nil {
		t.Errorf("Submit over a connection that is half open: %v", err)
	}
	if m := c.next(t); idOf(m) != "during" {
		t.Errorf("got %s", idOf(m))
	} else {
		ack(t, m)
	}
	ack(t, held)
	if n := b.Conn().Stats().Reconnects; n == 0 {
		t.Error("there was no other connection")
	}
}
