package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlpCollector is an OpenTelemetry collector that keeps the names of spans.
type otlpCollector struct {
	*httptest.Server
	mu      sync.Mutex
	spans   map[string][]string // by trace ID: "name on server"; guarded by mu
	metrics int                 // posts of metrics; guarded by mu
}

func newCollector(t *testing.T) *otlpCollector {
	t.Helper()
	c := &otlpCollector{spans: map[string][]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *otlpCollector) take(r *http.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.URL.Path == "/v1/metrics" {
		c.metrics++
		return nil
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var post collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(b, &post); err != nil {
		return err
	}
	for _, resource := range post.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				server := ""
				for _, a := range s.Attributes {
					if a.Key == "occamy.server.id" {
						server = a.Value.GetStringValue()
					}
				}
				id := fmt.Sprintf("%x", s.TraceId)
				c.spans[id] = append(c.spans[id], s.Name+" on "+server)
			}
		}
	}
	return nil
}

// One trace reaches from submit over the server to the assistants on another
// server, each of which tells the collector its part.
func TestOneTraceFromSubmitToTheAssistants(t *testing.T) {
	c := newCollector(t)
	s := serveEmbedded(t, t.TempDir(), "--slots", "1", "--otlp", c.URL)
	other := serveAs(t, s.env, "--broker", s.Broker, "--slots", "1", "--otlp", c.URL)
	id := strings.Repeat("ab", 16)
	r := s.client()
	r.env["TRACEPARENT"] = "00-" + id + "-" + strings.Repeat("cd", 8) + "-01"
	code, _, errs := r.do(t, "submit", "route", "--file", "../../examples/routing/testdata/berlin52.tsp",
		"--header", "time-limit=3s", "--wait", "--otlp", c.URL)
	if code != 0 {
		t.Fatalf("submit: %d, %s", code, errs)
	}
	s.signals <- os.Interrupt
	other.signals <- os.Interrupt
	s.end(t)
	other.end(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 1 {
		t.Errorf("%d traces: %v", len(c.spans), c.spans)
	}
	got := c.spans[id]
	for _, want := range []string{
		"submit route on ", "process route on " + s.Server, "process route on " + other.Server,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no span %q among %q", want, got)
		}
	}
	if c.metrics == 0 {
		t.Error("no metrics came")
	}
}

func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	s := serveEmbedded(t, t.TempDir(), "--slots", "1", "--otlp", "http://"+deadAddress(t))
	s.works(t)
	begun := time.Now()
	s.signals <- os.Interrupt
	if code := s.end(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if d := time.Since(begun); d > 10*time.Second {
		t.Errorf("the end took %v", d)
	}
	if !strings.Contains(s.errs.String(), "the collector has not got the last of it") {
		t.Errorf("nobody is told: %s", s.errs)
	}
}

func TestTelemetryIsRefusedWithAHint(t *testing.T) {
	for _, args := range [][]string{{"--otlp", "localhost:4318"}, {"--otlp", "ftp://x"}, {"--otlp", "http://me:hush@127.0.0.1:1"}, {"--otlp", "http://127.0.0.1:1/?key=hush"}, {"--log", "xml"}} {
		code, _, errs := run{}.do(t, append([]string{"serve", "--data-dir", t.TempDir(), "--http", "none"}, args...)...)
		if code != 2 || !strings.Contains(errs, "hint") || strings.Contains(errs, "hush") {
			t.Errorf("%v: %d, %s", args, code, errs)
		}
	}
}

func TestServeLogsWhatHappens(t *testing.T) {
	s := serveEmbedded(t, t.TempDir(), "--slots", "1", "--log", "json")
	s.works(t)
	s.signals <- os.Interrupt
	s.end(t)
	if log := s.errs.String(); !strings.Contains(log, `"msg":"request settled"`) || !strings.Contains(log, `"outcome":"acked"`) {
		t.Errorf("the log is %s", log)
	}
}

// What parses the log as JSON need not let other lines pass.
func TestEachLineOfTheLogIsJSON(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte(`{"log": "json", "http_token": "0123456789abcdef"}`), 0o644); err != nil { // which all can read
		t.Fatal(err)
	}
	s := serveEmbedded(t, t.TempDir(), "--slots", "1", "--config", config)
	s.signals <- os.Interrupt
	s.end(t)
	occupied := filepath.Join(t.TempDir(), "a-file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, failed := run{}.do(t, "serve", "--log", "json", "--data-dir", occupied, "--http", "none")
	if code != exitFailed || !strings.Contains(failed, `"level":"ERROR"`) {
		t.Errorf("a failure: exit status %d, %s", code, failed)
	}
	levels := make(map[string]string)
	for line := range strings.Lines(s.errs.String() + failed) {
		var record struct{ Level, Msg, Hint string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("no JSON: %s", line)
			continue
		}
		word, _, _ := strings.Cut(record.Msg, " ")
		levels[strings.TrimSuffix(word, ":")] = record.Level + ", " + record.Hint
	}
	for word, want := range map[string]string{
		"everybody": "WARN, chmod o-r " + config, // can read the secret
		"stopping":  "INFO, interrupt again to end at once",
		"stopped":   "INFO, ",
	} {
		if levels[word] != want {
			t.Errorf("%s has %q, want %q", word, levels[word], want)
		}
	}
}
