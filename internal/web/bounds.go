package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// bounds limits what a request may take: the size of its body, the time until
// that is there, and the time that each write of the answer may take. The answer
// as a whole may take for ever, as an event stream does. A panic of next is told
// and ends that answer alone.
type bounds struct {
	next     http.Handler
	tell     func(string)
	bodyTime time.Duration
	maxBody  int64
	sendTime time.Duration
}

func (b *bounds) defaults() {
	if b.bodyTime == 0 {
		b.bodyTime = 10 * time.Second
	}
	if b.maxBody == 0 {
		b.maxBody = 64 << 10
	}
	if b.sendTime == 0 {
		b.sendTime = 20 * time.Second
	}
}

func (b bounds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	if r.Body != http.NoBody {
		_ = c.SetReadDeadline(time.Now().Add(b.bodyTime)) // the connection has deadlines, or is gone
		r.Body = http.MaxBytesReader(w, r.Body, b.maxBody)
	}
	out := &sender{ResponseWriter: w, control: c, time: b.sendTime}
	out.done() // of the request before
	defer out.begin()
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			b.tell(fmt.Sprintf("http: panic while answering %s %q: %v\n%s", r.Method, r.URL.Path, cause, debug.Stack()))
		}
		panic(http.ErrAbortHandler) // ends the answer, so that nobody takes it for a whole one
	}()
	b.next.ServeHTTP(out, r)
}

// sender bounds each write of an answer.
type sender struct {
	http.ResponseWriter
	control *http.ResponseController
	time    time.Duration
}

// begin starts the time of a write, done ends it.
func (s *sender) begin() { _ = s.control.SetWriteDeadline(time.Now().Add(s.time)) }
func (s *sender) done()  { _ = s.control.SetWriteDeadline(time.Time{}) }

func (s *sender) Write(b []byte) (int, error) {
	s.begin()
	defer s.done()
	return s.ResponseWriter.Write(b)
}

// FlushError sends what was written.
func (s *sender) FlushError() error {
	s.begin()
	defer s.done()
	return s.control.Flush()
}

// Flush implements http.Flusher.
func (s *sender) Flush() { _ = s.FlushError() } // the next write fails too

// Unwrap is for http.ResponseController.
func (s *sender) Unwrap() http.ResponseWriter { return s.ResponseWriter }
