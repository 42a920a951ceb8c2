package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/occamy-go/occamy/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what is sure to come.
const patience = 20 * time.Second

// running is a server on a loopback port.
type running struct {
	*web.Server
	address string
	client  *http.Client
	told    func() string // what went wrong
}

func start(t *testing.T, c web.Config) *running {
	t.Helper()
	var mu sync.Mutex
	var told []string
	c.Tell = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, text)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	r := &running{Server: web.New(c), address: l.Addr().String(), client: &http.Client{Transport: transport, Timeout: patience}}
	r.told = func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(told, "\n")
	}
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		r.End()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

func (r *running) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// get calls a path and returns the status.
func (r *running) get(t *testing.T, path string) int {
	t.Helper()
	answer, err := r.client.Get("http://" + r.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}

func yes(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "yes") }

// A thousand clients that send a request a byte at a time keep nobody out.
func TestSlowClientsMakeRoomForOthers(t *testing.T) {
	r := start(t, web.Config{Handler: http.HandlerFunc(yes), MaxConns: 16})
	for i := range 200 {
		slow := r.dial(t)
		if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: x\r\nX-"); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			r.client.CloseIdleConnections()
			if got := r.get(t, "/"); got != 200 {
				t.Fatalf("with %d slow clients: %d", i+1, got)
			}
		}
	}
}

// A connection whose request is being answered is not given up for another.
func TestStreamsKeepTheirPlaces(t *testing.T) {
	entered, leave := make(chan struct{}, 8), make(chan struct{})
	r := start(t, web.Config{MaxConns: 4, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			_ = http.NewResponseController(w).Flush()
			entered <- struct{}{}
			<-leave
			fmt.Fprint(w, "end")
		}
	})})
	ends := make(chan string, 4)
	for range 3 {
		go func() {
			answer, err := r.client.Get("http://" + r.address + "/stream")
			if err != nil {
				ends <- err.Error()
				return
			}
			defer answer.Body.Close()
			b, err := io.ReadAll(answer.Body)
			ends <- fmt.Sprint(string(b), err)
		}()
		<-entered
	}
	for range 50 {
		if _, err := io.WriteString(r.dial(t), "GET"); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.get(t, "/"); got != 200 {
		t.Errorf("another: %d", got)
	}
	close(leave)
	for range 3 {
		if end := <-ends; end != "end<nil>" {
			t.Errorf("a stream ended with %q", end)
		}
	}
}

func TestWithEveryPlaceAtWorkNewConnectionsAreTurnedAway(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	r := start(t, web.Config{MaxConns: 2, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	})})
	defer close(leave)
	for range 2 {
		if _, err := io.WriteString(r.dial(t), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-entered
	}
	if _, err := r.dial(t).Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is answered")
	}
}

func TestRequestsThatAreTooLarge(t *testing.T) {
	r := start(t, web.Config{MaxBody: 1000, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})})
	for _, tc := range []struct {
		name   string
		header string
		body   int
		want   int
	}{
		{"a header of 1 KB", strings.Repeat("x", 1000), 1000, 200},
		{"a header of 1 MB", strings.Repeat("x", 1<<20), 0, 431},
		{"a body", "x", 1001, 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := r.dial(t)
			go fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\nContent-Length: %d\r\n\r\n%s", tc.header, tc.body, strings.Repeat("b", tc.body))
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != tc.want {
				t.Errorf("%d, want %d", answer.StatusCode, tc.want)
			}
		})
	}
}

func TestEndEndsStreams(t *testing.T) {
	entered := make(chan struct{}, 2)
	r := start(t, web.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
	})})
	if _, err := io.WriteString(r.dial(t), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	r.dial(t) // says nothing
	r.End()
	r.End()
	if _, err := net.Dial("tcp", r.address); err == nil {
		t.Error("somebody still listens")
	}
}

func TestAPanicEndsOneAnswer(t *testing.T) {
	r := start(t, web.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("oh")
		}
	})})
	if answer, err := r.client.Get("http://" + r.address + "/panic"); err == nil {
		_ = answer.Body.Close()
		t.Error("it is answered")
	}
	if got := r.get(t, "/"); got != 200 {
		t.Errorf("then %d", got)
	}
	if told := r.told(); !strings.Contains(told, `panic while answering GET "/panic": oh`) {
		t.Errorf("it tells %q", told)
	}
}

// What clients do wrong is no news.
func TestGarbageIsNotTold(t *testing.T) {
	r := start(t, web.Config{Handler: http.HandlerFunc(yes)})
	for _, text := range []string{"\x16\x03\x01\x02\x00", "GET\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", strings.Repeat("\x00", 100_000)} {
		c := r.dial(t)
		go func() {
			_, _ = io.WriteString(c, text) // it may be cut short
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Log(err) // a reset is as good
		}
	}
	if got := r.get(t, "/?a;b"); got != 200 {
		t.Errorf("then %d", got)
	}
	if told := r.told(); told != "" {
		t.Errorf("it tells %q", told)
	}
}
