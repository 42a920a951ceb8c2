// Package web is an HTTP server that slow, greedy or hostile clients cannot
// hold up: connections are bounded, and so is the time that each may keep others
// waiting. Event streams may last for ever, as long as their clients read them.
// It knows nothing of what is served, nor of who may call: that is package guard.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	headerTime = 5 * time.Second        // for a request's header, and for a TLS handshake
	idleTime   = 60 * time.Second       // between two requests of a connection
	endTime    = 500 * time.Millisecond // for what runs when the server ends

	maxHeader  = 32 << 10
	maxConns   = 512
	maxStreams = 100 // of one HTTP/2 connection
)

// Config says what a Server serves.
type Config struct {
	Handler http.Handler
	TLS     *tls.Config          // nil: plain HTTP
	Tell    func(message string) // is told what went wrong; nil: nobody is

	MaxConns int           // connections at a time; 0: 512
	BodyTime time.Duration // for a request's body; 0: 10 s
	MaxBody  int64         // bytes; 0: 64 KiB
	SendTime time.Duration // for each write to a client that does not read; 0: 20 s
}

// Server is an HTTP server on one listener.
type Server struct {
	http  *http.Server
	tls   bool
	conns *conns
	end   context.CancelFunc // of all requests' contexts
}

// New returns a server that listens nowhere yet.
func New(c Config) *Server {
	if c.Tell == nil {
		c.Tell = func(string) {}
	}
	if c.MaxConns == 0 {
		c.MaxConns = maxConns
	}
	b := bounds{next: c.Handler, tell: c.Tell, bodyTime: c.BodyTime, maxBody: c.MaxBody, sendTime: c.SendTime}
	b.defaults()
	life, end := context.WithCancel(context.Background())
	conns := &conns{max: c.MaxConns}
	s := &Server{tls: c.TLS != nil, conns: conns, end: end}
	s.http = &http.Server{
		Handler:           conns.busyWhile(b),
		TLSConfig:         c.TLS,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: b.sendTime},
		BaseContext:       func(net.Listener) context.Context { return life },
		ConnContext:       conns.context,
		ErrorLog:          log.New(teller(c.Tell), "", 0),
	}
	return s
}

// Serve answers what comes to l until End is called, which is no error. It
// closes l. It is called once.
func (s *Server) Serve(l net.Listener) error {
	l = listener{l, s.conns}
	var err error
	if s.tls {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// End ends the server: event streams and others whose context is heeded at once,
// what else runs within half a second.
func (s *Server) End() {
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // only connections are left, which have nobody to tell
	}
}

// teller passes on what net/http logs, but for what clients do.
type teller func(string)

func (t teller) Write(b []byte) (int, error) {
	text := strings.TrimSpace(string(b))
	if !strings.Contains(text, "TLS handshake error") && !strings.Contains(text, "URL query contains semicolon") {
		t(text)
	}
	return len(b), nil
}
