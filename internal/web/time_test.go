package web_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy/internal/web"
)

// pipes is a listener whose connections stay in the process, for virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// inBubble runs f in virtual time with a server that dial leads to.
func inBubble(t *testing.T, h http.HandlerFunc, f func(t *testing.T, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		s := web.New(web.Config{Handler: h})
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		f(t, func() net.Conn {
			near, far := net.Pipe()
			t.Cleanup(func() { _ = near.Close() })
			l.conns <- far
			return near
		})
		s.End()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// endsAfter reads what comes until the connection ends, and says when that was.
func endsAfter(c net.Conn) time.Duration {
	start := time.Now()
	_, _ = io.Copy(io.Discard, c) // it ends in one way or another
	return time.Since(start)
}

func TestConnectionsThatHoldTheServerUpEnd(t *testing.T) {
	for _, tc := range []struct {
		name              string
		sends             string
		within, notBefore time.Duration
	}{
		{"nothing comes", "", 6 * time.Second, time.Second},
		{"the header does not end", "GET / HTTP/1.1\r\nX: y\r\n", 6 * time.Second, time.Second},
		{"the next request does not come", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 61 * time.Second, 30 * time.Second},
		{"the body does not come", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nb", 11 * time.Second, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					panic(http.ErrAbortHandler)
				}
			}, func(t *testing.T, dial func() net.Conn) {
				c := dial()
				if tc.sends != "" {
					write(t, c, tc.sends)
				}
				if took := endsAfter(c); took > tc.within || took < tc.notBefore {
					t.Errorf("it ends after %v, want from %v to %v", took, tc.notBefore, tc.within)
				}
			})
		})
	}
}

// A stream lasts as long as it is read, whatever passes between two events; and
// so does an answer that takes its time.
func TestAStreamLastsAsLongAsItIsRead(t *testing.T) {
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			fmt.Fprint(w, "begin")
			time.Sleep(time.Hour) // virtual, as the server works that long
			fmt.Fprint(w, "end")
			return
		}
		for range 10 {
			fmt.Fprintln(w, "event")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour)
		}
	}, func(t *testing.T, dial func() net.Conn) {
		c := dial()
		in := bufio.NewReader(c)
		for path, want := range map[string]string{"/stream": strings.Repeat("event\n", 10), "/late": "beginend"} {
			write(t, c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(answer.Body); err != nil || string(b) != want {
				t.Errorf("%s: %q, %v", path, b, err)
			}
		}
	})
}

func TestAStreamThatIsNotReadEnds(t *testing.T) {
	var ended chan error
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		for b := make([]byte, 1<<16); ; {
			if _, err := w.Write(b); err != nil {
				ended <- err
				return
			}
		}
	}, func(t *testing.T, dial func() net.Conn) {
		ended = make(chan error, 1) // of the bubble
		write(t, dial(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		start := time.Now()
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) > 30*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
