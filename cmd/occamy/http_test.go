package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy/internal/ops"
)

const httpToken = "0123456789abcdef-" + marker

// browser is a client of a service's HTTP that leaves no connection behind.
func browser(t *testing.T, c *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// get calls a path of a service and returns the answer.
func (s *service) get(t *testing.T, c *http.Client, path, shown string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.HTTP+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if shown != "" {
		r.Header.Set("Authorization", "Bearer "+shown)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// awaitStatus calls a path until it answers with a status.
func (s *service) awaitStatus(t *testing.T, c *http.Client, path string, want int) {
	t.Helper()
	var last int
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if last, _ = s.get(t, c, path, ""); last == want {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("%s answers with %d, not with %d", path, last, want)
}

// Two servers on one machine have an address each, and tell of both.
func TestServeAnswersOverHTTP(t *testing.T) {
	s := serveEmbedded(t, t.TempDir(), "--slots", "2", "--pprof")
	other := serve(t, "--broker", s.Broker, "--slots", "1")
	if s.HTTP == other.HTTP || !strings.HasPrefix(s.HTTP, "http://127.0.0.1:") {
		t.Fatalf("they are at %q and %q", s.HTTP, other.HTTP)
	}
	s.begin(t, "r")
	c := browser(t, nil)
	for path, has := range map[string]string{
		"/healthz": "ok", "/readyz": "ok",
		"/metrics":             `occamy_slots{status="protected"} `,
		"/debug/pprof/cmdline": "",
	} {
		if status, body := s.get(t, c, path, ""); status != 200 || !strings.Contains(body, has) {
			t.Errorf("%s: %d, %s", path, status, body)
		}
	}
	if status, _ := other.get(t, c, "/debug/pprof/", ""); status != 404 {
		t.Errorf("profiles that nobody asked for: %d", status)
	}
	_, metrics := s.get(t, c, "/metrics", "")
	for _, has := range []string{"occamy_broker_connected 1", `occamy_queue_messages{kind="route",state="ready"} 0`, "go_goroutines ", "process_cpu_seconds_total "} {
		if !strings.Contains(metrics, "\n"+has) {
			t.Errorf("the metrics have no %s", has)
		}
	}
	_, body := other.get(t, c, "/scale?target=0.5", "")
	var scale ops.Scale
	unmarshal(t, body, &scale)
	if f := scale.Fleet; scale.Server.ID != other.Server || scale.Server.Slots != 1 || f.Servers != 2 || f.Slots != 3 || f.Protected != 1 || f.Desired != 2 {
		t.Errorf("the scale is %+v", scale)
	}
	if code, _, _ := s.client().do(t, "cancel", "r"); code != exitOK {
		t.Errorf("cancel: exit status %d", code)
	}
}

func TestHTTPCanBeTurnedOff(t *testing.T) {
	if s := serveEmbedded(t, t.TempDir(), "--http", "none"); s.HTTP != "" {
		t.Errorf("it is at %s", s.HTTP)
	}
}

// Readiness ends with the interrupt, while a task still runs and metrics can be
// read; HTTP ends last.
func TestReadinessFollowsTheServer(t *testing.T) {
	s := serveEmbedded(t, t.TempDir(), "--grace", "1h")
	c := browser(t, nil)
	s.awaitStatus(t, c, "/readyz", 200)
	for _, step := range []struct {
		verb string
		want int
	}{{"drain", 503}, {"resume", 200}} {
		if code, _, _ := s.client().do(t, step.verb, s.Server); code != exitOK {
			t.Fatalf("%s: exit status %d", step.verb, code)
		}
		s.awaitStatus(t, c, "/readyz", step.want)
	}
	s.begin(t, "long")
	s.signals <- os.Interrupt
	s.awaitStatus(t, c, "/readyz", 503)
	if status, body := s.get(t, c, "/metrics", ""); status != 200 || !strings.Contains(body, `occamy_slots{status="protected"} 1`) {
		t.Errorf("while its task runs: %d, %s", status, body)
	}
	if status, _ := s.get(t, c, "/healthz", ""); status != 200 {
		t.Errorf("it is dead while its task runs: %d", status)
	}
	if code, _, _ := s.client().do(t, "cancel", "long"); code != exitOK {
		t.Errorf("cancel: exit status %d", code)
	}
	if code := s.end(t); code != exitOK {
		t.Errorf("exit status %d", code)
	}
	if status, body := s.get(t, c, "/healthz", ""); status != 0 {
		t.Errorf("it still answers: %d, %s", status, body)
	}
}

// A server that is cut off from its broker is not ready and lives.
func TestACutCableShowsInReadiness(t *testing.T) {
	hub := serveEmbedded(t, t.TempDir(), "--http", "none")
	cable := newCable(t, strings.TrimPrefix(hub.Broker, "nats://"))
	s := serve(t, "--broker", "nats://"+cable.Addr().String())
	c := browser(t, nil)
	s.awaitStatus(t, c, "/readyz", 200)
	cable.pull()
	s.awaitStatus(t, c, "/readyz", 503)
	if status, body := s.get(t, c, "/healthz", ""); status != 200 {
		t.Errorf("it is dead: %d, %s", status, body)
	}
	if status, body := s.get(t, c, "/metrics", ""); status != 200 || !strings.Contains(body, "\noccamy_broker_connected 0") {
		t.Errorf("its metrics: %d, %s", status, body)
	}
	if status, body := s.get(t, c, "/scale", ""); status != 503 || !strings.Contains(body, "hint") {
		t.Errorf("its scale: %d, %s", status, body)
	}
	cable.plug()
	s.awaitStatus(t, c, "/readyz", 200)
}

func TestATokenIsAskedForWheneverThereIsOne(t *testing.T) {
	file := secretFile(t, httpToken+"\n")
	for name, s := range map[string]*service{
		"in the environment": serveAs(t, map[string]string{"OCCAMY_HTTP_TOKEN": httpToken}, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--sync=false"),
		"in a file":          serveEmbedded(t, t.TempDir(), "--http-token-file", file),
	} {
		c := browser(t, nil)
		for _, path := range []string{"/", "/metrics", "/scale", "/debug/pprof/", "/api/task?id=x"} {
			for shown, want := range map[string]bool{"": false, "wrong": false, httpToken: true} {
				status, body := s.get(t, c, path, shown)
				if let := status != 401 && status != 429; let != want {
					t.Errorf("%s, %s with %q: %d", name, path, shown, status)
				}
				if strings.Contains(body, marker) {
					t.Errorf("%s shows the token", path)
				}
			}
		}
		if status, body := s.get(t, c, "/healthz", ""); status != 200 || body != "ok\n" {
			t.Errorf("a probe gets %d, %q", status, body)
		}
		if text := s.out.String() + s.errs.String(); strings.Contains(text, marker) {
			t.Errorf("it shows the token: %s", text)
		}
	}
}

// Whoever has a certificate is let in; a probe has none and is told no more than
// that the server lives.
func TestClientCertificates(t *testing.T) {
	own, foreign := newCertificates(t), newCertificates(t)
	s := serveEmbedded(t, t.TempDir(), "--http", "127.0.0.1:0", "--http-tls-cert", own.cert, "--http-tls-key", own.key, "--http-client-ca", own.ca)
	if !strings.HasPrefix(s.HTTP, "https://") {
		t.Fatalf("it is at %s", s.HTTP)
	}
	roots := x509.NewCertPool()
	text, err := os.ReadFile(own.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(text)
	with := func(c certificates) *http.Client {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			t.Fatal(err)
		}
		// A client that asks the server gives none that it does not trust.
		give := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		return browser(t, &tls.Config{RootCAs: roots, GetClientCertificate: give})
	}
	none := browser(t, &tls.Config{RootCAs: roots})
	for _, tc := range []struct {
		name   string
		client *http.Client
		path   string
		want   int
	}{
		{"a certificate", with(own), "/scale", 200},
		{"no certificate", none, "/scale", 401},
		{"a probe", none, "/readyz", 200},
		{"a certificate of another authority", with(foreign), "/scale", 0},
		{"a client that does not trust the server", browser(t, nil), "/readyz", 0},
	} {
		if status, body := s.get(t, tc.client, tc.path, ""); status != tc.want {
			t.Errorf("%s: %d, %s", tc.name, status, body)
		}
	}
	plain := *s
	plain.HTTP = "http" + strings.TrimPrefix(s.HTTP, "https")
	if status, body := plain.get(t, browser(t, nil), "/readyz", ""); status == 200 {
		t.Errorf("without TLS: %d, %s", status, body)
	}
	if s.errs.String() != "" {
		t.Errorf("it says %q", s.errs)
	}
}

func TestHTTPSettingsThatDoNotFit(t *testing.T) {
	certs := newCertificates(t)
	missing := t.TempDir() + "/missing"
	short := secretFile(t, "short-"+marker)
	for _, tc := range []struct {
		args string
		env  string
		says string
	}{
		{"--http 0.0.0.0:0", "", "would be open to all"},
		{"--http :0", "", "would be open to all"},
		{"--http [::]:0", "", "would be open to all"},
		{"", "OCCAMY_HTTP=0.0.0.0:0", "would be open to all"},
		{"--http 0.0.0.0:0 --http-tls-cert " + certs.cert + " --http-tls-key " + certs.key, "", "would be open to all"},
		{"--http nowhere", "", "cannot listen on"},
		{"--http 127.0.0.1:http:x", "", "cannot listen on"},
		{"--http 127.0.0.1:70000", "", "cannot listen on"},
		{"--http none --pprof", "", "turned off"},
		{"--http none", "OCCAMY_HTTP_TOKEN=" + httpToken, "turned off"},
		{"", "OCCAMY_HTTP_TOKEN=" + httpToken + " OCCAMY_HTTP_TOKEN_FILE=f", "a token and a token file"},
		{"", "OCCAMY_HTTP_TOKEN=short-" + marker, "fewer than 16"},
		{"--http-token-file " + short, "", "fewer than 16"},
		{"--http-token-file " + missing, "", missing},
		{"--http-token-file " + secretFile(t, "\n"), "", "is empty"},
		{"--http-token " + httpToken, "", "unknown flag"},
		{"--http-tls-cert " + certs.cert, "", "belong together"},
		{"--http-tls-cert " + certs.cert + " --http-tls-key " + certs.ca, "", "certificate of HTTP"},
		{"--http-client-ca " + certs.ca, "", "needs TLS"},
		{"--http-client-ca " + certs.key + " --http-tls-cert " + certs.cert + " --http-tls-key " + certs.key, "", "has no certificate"},
		{"--http-client-ca " + missing + " --http-tls-cert " + certs.cert + " --http-tls-key " + certs.key, "", missing},
		{"", "OCCAMY_PPROF=perhaps", "OCCAMY_PPROF is"},
	} {
		t.Run(tc.args+" "+tc.env, func(t *testing.T) {
			r := run{env: make(map[string]string)}
			for _, assignment := range strings.Fields(tc.env) {
				key, value, _ := strings.Cut(assignment, "=")
				r.env[key] = value
			}
			args := append([]string{"serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0"}, strings.Fields(tc.args)...)
			code, stdout, stderr := r.do(t, args...)
			if code == exitOK || stdout != "" || !strings.Contains(stderr, tc.says) {
				t.Errorf("exit status %d, want an error that says %q", code, tc.says)
			}
			if err := oneLineWithHint(stderr); err != nil {
				t.Errorf("the error message: %v", err)
			}
			if strings.Contains(stderr, marker) {
				t.Error("it shows the token")
			}
		})
	}
}

func TestHTTPSettingsInThreePlaces(t *testing.T) {
	a := &app{getenv: func(key string) string {
		return map[string]string{"OCCAMY_HTTP": "env", "OCCAMY_HTTP_TOKEN": "env", "OCCAMY_HTTP_CLIENT_CA": "env", "OCCAMY_PPROF": "true"}[key]
	}}
	environment, err := a.httpFromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	var file serveConfig
	if err := json.Unmarshal([]byte(`{"http": "file", "http_token_file": "file", "http_tls_cert": "file", "pprof": false}`), &file); err != nil {
		t.Fatal(err)
	}
	got := httpConfig{HTTP: "flag"}.or(environment).or(file.httpConfig)
	if want := (httpConfig{HTTP: "flag", HTTPToken: "env", HTTPClientCA: "env", HTTPTLSCert: "file", PProf: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
