package web

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// conns are the connections of a server, at most a number of them. When there is
// no room for another, the one goes that has been without a request for longest:
// who sends a request takes no time for it, who holds the server up does. With
// none such the new one is turned away.
type conns struct {
	max int

	mu  sync.Mutex
	all int
	// idle has those that no request of is being answered; the one at the front
	// has been so for longest. Guarded by mu.
	idle list.List
}

// conn is a connection that counts until it is closed.
type conn struct {
	net.Conn
	of *conns

	// guarded by of.mu
	busy   int           // requests that are being answered
	at     *list.Element // in of.idle; nil while busy or closed
	closed bool
}

// Close frees the connection's place. It may be called again.
func (c *conn) Close() error {
	c.of.leave(c)
	return c.Conn.Close()
}

// listener accepts connections that count.
type listener struct {
	net.Listener
	conns *conns
}

func (l listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.conns.take(raw); c != nil {
			return c, nil
		}
		_ = raw.Close() // there is no room
	}
}

// take returns nil when there is no room.
func (cs *conns) take(raw net.Conn) *conn {
	cs.mu.Lock()
	var victim *conn
	if cs.all >= cs.max {
		front := cs.idle.Front()
		if front == nil {
			cs.mu.Unlock()
			return nil
		}
		victim = front.Value.(*conn)
		cs.remove(victim)
	}
	c := &conn{Conn: raw, of: cs}
	c.at = cs.idle.PushBack(c)
	cs.all++
	cs.mu.Unlock()
	if victim != nil {
		_ = victim.Conn.Close() // its server finds out
	}
	return c
}

func (cs *conns) leave(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.remove(c)
}

// remove is called with mu held.
func (cs *conns) remove(c *conn) {
	if c.closed {
		return
	}
	c.closed = true
	cs.all--
	if c.at != nil {
		cs.idle.Remove(c.at)
		c.at = nil
	}
}

// work changes the number of a connection's requests that are being answered.
func (cs *conns) work(c *conn, by int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.busy += by
	switch {
	case c.closed:
	case c.busy == 0:
		c.at = cs.idle.PushBack(c)
	case c.at != nil:
		cs.idle.Remove(c.at)
		c.at = nil
	}
}

type connKey struct{}

// context is a http.Server's ConnContext.
func (cs *conns) context(ctx context.Context, c net.Conn) context.Context {
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// busyWhile has a connection be busy while next answers a request of it.
func (cs *conns) busyWhile(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			cs.work(c, 1)
			defer cs.work(c, -1)
		}
		next.ServeHTTP(w, r)
	})
}
