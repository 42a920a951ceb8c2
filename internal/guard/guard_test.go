package guard_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy/internal/guard"
)

const token = "0123456789abcdef-sEcReT"

// guarded is a handler that says who was let in.
func guarded(t *testing.T, c guard.Config) http.Handler {
	t.Helper()
	h, err := guard.New(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "in %s known=%t", r.URL.Path, guard.Known(r.Context()))
	}))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// call is a request and what it must meet with.
type call struct {
	name    string
	method  string // "": GET
	target  string // "": /x
	host    string // "": 127.0.0.1:7480
	headers []string
	cert    bool
	status  int
	body    string // what the answer has in it
}

func (c call) request() *http.Request {
	method, target := c.method, c.target
	if method == "" {
		method = http.MethodGet
	}
	if target == "" {
		target = "/x"
	}
	r := httptest.NewRequest(method, target, nil)
	if r.Host = c.host; c.host == "" {
		r.Host = "127.0.0.1:7480"
	}
	for _, h := range c.headers {
		key, value, _ := strings.Cut(h, ": ")
		r.Header.Add(key, value)
	}
	if c.cert {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	}
	return r
}

func do(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const in = "in /x known=true"

func TestWhoMayCall(t *testing.T) {
	open := []string{"/healthz"}
	for _, group := range []struct {
		name   string
		config guard.Config
		calls  []call
	}{
		{"with neither token nor certificates, who knows a name of this machine", guard.Config{Open: open, Host: "box.lan"}, []call{
			{name: "an address", status: 200, body: in},
			{name: "another of its addresses", host: "127.8.8.8:1", status: 200, body: in},
			{name: "an address of IPv6", host: "[::1]:7480", status: 200, body: in},
			{name: "without a port", host: "[::1]", status: 200, body: in},
			{name: "localhost", host: "LocalHost:7480", status: 200, body: in},
			{name: "a full name", host: "localhost.:7480", status: 200, body: in},
			{name: "the name that was given", host: "BOX.lan:7480", status: 200, body: in},
			{name: "a name that was made to lead here", host: "evil.example:7480", status: 403, body: "is none of this machine"},
			{name: "one that looks like it", host: "localhost.evil.example", status: 403},
			{name: "one below it", host: "evil.localhost", status: 403},
			{name: "an address in another form", host: "2130706433:7480", status: 403},
			{name: "one with a user", host: "localhost@evil.example", status: 403},
			{name: "none", host: " ", status: 403},
			{name: "an address of the network", host: "192.168.1.7:7480", status: 403},
			{name: "an open path by any name", target: "/healthz", host: "10.1.2.3:7480", status: 200, body: "known=false"},
			{name: "there is no login", target: "/login", status: 200, body: "in /login"},
		}},
		{"with a token, who shows it", guard.Config{Token: token, Open: open}, []call{
			{name: "it is shown", headers: []string{"Authorization: Bearer " + token}, status: 200, body: in},
			{name: "in other letters", headers: []string{"Authorization: bearer  " + token}, status: 200, body: in},
			{name: "by any name", host: "occamy.example", headers: []string{"Authorization: Bearer " + token}, status: 200, body: in},
			{name: "none", status: 401, body: "there is no token"},
			{name: "an empty one", headers: []string{"Authorization: Bearer "}, status: 401, body: "the token is wrong"},
			{name: "a wrong one", headers: []string{"Authorization: Bearer " + token + "x"}, status: 401, body: "the token is wrong"},
			{name: "the beginning of it", headers: []string{"Authorization: Bearer " + token[:16]}, status: 401},
			{name: "in another scheme", headers: []string{"Authorization: Basic " + token}, status: 401, body: "there is no token"},
			{name: "in the address", target: "/x?token=" + token, status: 401},
			{name: "in a cookie", headers: []string{"Cookie: token=" + token}, status: 401},
			{name: "a certificate that nobody asked for", cert: true, status: 401},
			{name: "a browser is sent to the login", target: "/task/a?b=c", headers: []string{"Accept: text/html,*/*"}, status: 303},
			{name: "an open path", target: "/healthz", status: 200, body: "known=false"},
			{name: "an open path with it", target: "/healthz", headers: []string{"Authorization: Bearer " + token}, status: 200, body: "known=true"},
			{name: "a path that only looks open", target: "/healthz/", status: 401},
			{name: "another", target: "//healthz", status: 401},
			{name: "another that leads elsewhere", target: "/healthz/../x", status: 401},
			{name: "another that leads elsewhere, hidden", target: "/healthz%2f..%2fx", status: 401},
			{name: "another in other letters", target: "/Healthz", status: 401},
			{name: "the whole address", target: "http://elsewhere.example/healthz/../x", status: 401},
		}},
		{"with certificates, who has one", guard.Config{Certificates: true, Open: open}, []call{
			{name: "it was verified", cert: true, status: 200, body: in},
			{name: "none", status: 401, body: "there is no client certificate"},
			{name: "a token that nobody asked for", headers: []string{"Authorization: Bearer " + token}, status: 401},
			{name: "an open path", target: "/healthz", status: 200, body: "known=false"},
		}},
		{"with both, who has either", guard.Config{Token: token, Certificates: true}, []call{
			{name: "a certificate", cert: true, status: 200, body: in},
			{name: "a token", headers: []string{"Authorization: Bearer " + token}, status: 200, body: in},
			{name: "neither", status: 401, body: "there is no token"},
		}},
		{"no page of another site", guard.Config{}, []call{
			{name: "a click on this page", method: "POST", headers: []string{"Sec-Fetch-Site: same-origin"}, status: 200, body: in},
			{name: "no browser", method: "POST", status: 200, body: in},
			{name: "a form", method: "POST", headers: []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, status: 403, body: "another site"},
			{name: "a form on another port of this machine", method: "POST", headers: []string{"Sec-Fetch-Site: same-site"}, status: 403},
			{name: "a form in an old browser", method: "POST", headers: []string{"Origin: http://evil.example"}, status: 403},
			{name: "a form in a frame without a name", method: "POST", headers: []string{"Origin: null"}, status: 403},
			{name: "an image", headers: []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, status: 403},
			{name: "an event stream", headers: []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, status: 403},
			{name: "a frame", headers: []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, status: 403},
			{name: "a link", headers: []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, status: 200, body: in},
			{name: "an address that somebody types", headers: []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"}, status: 200, body: in},
		}},
	} {
		t.Run(group.name, func(t *testing.T) {
			h := guarded(t, group.config)
			for _, c := range group.calls {
				r := do(h, c.request())
				text := body(t, r)
				if r.StatusCode != c.status || !strings.Contains(text, c.body) {
					t.Errorf("%s: %d, %q; want %d and %q", c.name, r.StatusCode, text, c.status, c.body)
				}
				if r.StatusCode >= 400 {
					var problem struct{ Error, Hint string }
					if err := json.Unmarshal([]byte(text), &problem); err != nil || problem.Error == "" || problem.Hint == "" {
						t.Errorf("%s: the error %q has no hint, or is no JSON (%v)", c.name, text, err)
					}
				}
				if strings.Contains(text+fmt.Sprint(r.Header), token) {
					t.Errorf("%s: the answer shows the token", c.name)
				}
				for _, key := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"} {
					if r.Header.Get(key) == "" {
						t.Errorf("%s: the answer has no %s", c.name, key)
					}
				}
			}
		})
	}
}

func TestATokenIsLongAndFitsAHeader(t *testing.T) {
	for bad, says := range map[string]string{
		"short": "fewer than 16", "0123456789 abcdef": "cannot carry", "0123456789\nabcdef": "cannot carry", "0123456789äbcdef": "cannot carry",
	} {
		_, err := guard.New(guard.Config{Token: bad}, http.NotFoundHandler())
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v; want an error that says %q and not the token", bad, err, says)
		}
	}
}

// Guessing is slow; who comes from elsewhere, has a session, or shows the right
// token in time is none the worse.
func TestGuessesAreDamped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := guarded(t, guard.Config{Token: token})
		session := login(t, h, false)
		try := func(from, shown string) int {
			r := httptest.NewRequest("GET", "/x", nil)
			r.RemoteAddr = from
			r.Header.Set("Authorization", "Bearer "+shown)
			return do(h, r).StatusCode
		}
		const attacker = "192.0.2.66:1000"
		for i := range 10 {
			if got := try(attacker, "wrong"); got != 401 {
				t.Fatalf("guess %d: %d", i+1, got)
			}
			if got := try("192.0.2.7:1", token); got != 200 {
				t.Fatalf("another client: %d", got)
			}
		}
		if got := try("192.0.2.66:2000", token); got != 429 {
			t.Errorf("after ten guesses the right token is not looked at either: %d", got)
		}
		r := httptest.NewRequest("GET", "/x", nil)
		r.RemoteAddr = attacker
		r.AddCookie(session)
		if got := do(h, r).StatusCode; got != 200 {
			t.Errorf("a session from there: %d", got)
		}
		form := loginForm("/login", "wrong", "/")
		form.RemoteAddr = attacker
		if got := do(h, form); got.StatusCode != 429 || got.Header.Get("Retry-After") == "" {
			t.Errorf("the login from there: %d, %v", got.StatusCode, got.Header)
		}
		time.Sleep(6 * time.Second)
		if got := try(attacker, token); got != 200 {
			t.Errorf("a while later the right token: %d", got)
		}
		if first, second := try(attacker, "wrong"), try(attacker, "wrong"); first != 401 || second != 429 {
			t.Errorf("a while later guesses: %d, %d; want one", first, second)
		}
		for i := range 10 { // one network
			try(fmt.Sprintf("[2001:db8::%x]:1", i), "wrong")
		}
		if same, other := try("[2001:db8::ffff]:1", "wrong"), try("[2001:db8:0:1::1]:1", "wrong"); same != 429 || other != 401 {
			t.Errorf("of the same network %d, of another %d", same, other)
		}
		for i := range 10_000 { // bounded, and no way around for who is damped now
			try(fmt.Sprintf("10.0.%d.%d:1", i/256, i%256), "wrong")
		}
	})
}
