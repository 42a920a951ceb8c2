package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// relay stands between a proxy and a broker node and knows whether a process
// uses that node now.
type relay struct {
	listener net.Listener
	to       string
	heard    atomic.Int64 // when something last travelled, in Unix nanoseconds
	opened   atomic.Int64 // when the last connection was made

	mu    sync.Mutex
	conns map[net.Conn]struct{} // of both sides
	wg    sync.WaitGroup
}

func newRelay(to string) (*relay, error) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, to: to, conns: make(map[net.Conn]struct{})}
	r.wg.Go(r.accept)
	return r, nil
}

func (r *relay) accept() {
	for {
		from, err := r.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = from.Close() // the node is down
			continue
		}
		r.opened.Store(time.Now().UnixNano())
		r.mu.Lock()
		r.conns[from], r.conns[to] = struct{}{}, struct{}{}
		r.mu.Unlock()
		end := sync.OnceFunc(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, c := range []net.Conn{from, to} {
				_ = c.Close()
				delete(r.conns, c)
			}
		})
		r.wg.Go(func() { defer end(); _, _ = io.Copy(to, hearing{from, r}) })
		r.wg.Go(func() { defer end(); _, _ = io.Copy(from, hearing{to, r}) })
	}
}

// hearing is a connection that notes when something comes.
type hearing struct {
	io.Reader
	relay *relay
}

func (h hearing) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.relay.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// heardSince says whether something has travelled since then.
func (r *relay) heardSince(t time.Time) bool { return r.heard.Load() > t.UnixNano() }

// openedSince says whether a connection has been made since then.
func (r *relay) openedSince(t time.Time) bool { return r.opened.Load() > t.UnixNano() }

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}
