package main

import (
	"io"
	"net"
	"sync"
)

// relay stands between a proxy and a broker node and knows how many
// connections there are: whether a process uses that node now.
type relay struct {
	listener net.Listener
	to       string

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
		r.wg.Go(func() { defer end(); _, _ = io.Copy(to, from) })
		r.wg.Go(func() { defer end(); _, _ = io.Copy(from, to) })
	}
}

// live says whether there is a connection.
func (r *relay) live() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns) > 0
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}
