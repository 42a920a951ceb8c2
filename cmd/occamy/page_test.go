package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/occamy-go/occamy"
	live "github.com/occamy-go/occamy/dashboard/fleet"
)

// stream is a page's event stream.
type stream struct {
	answer *http.Response
	lines  *bufio.Scanner
}

func (s *service) stream(t *testing.T, c *http.Client) stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTP+"/api/fleet", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the stream answers with %d", answer.StatusCode)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return stream{answer, lines}
}

// await reads until an update is as wanted.
func (s stream) await(t *testing.T, what string, wanted func(live.Update) bool) {
	t.Helper()
	for s.lines.Scan() {
		data, ok := strings.CutPrefix(s.lines.Text(), "data: ")
		if !ok {
			continue
		}
		var u live.Update
		if err := json.Unmarshal([]byte(data), &u); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if wanted(u) {
			return
		}
	}
	t.Fatalf("the stream does not tell that %s: %v", what, s.lines.Err())
}

// call is a button of the page.
func (s *service) call(t *testing.T, c *http.Client, path, from string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.HTTP+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", from)
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// The page of any server shows all, its buttons work, and the stream ends with
// the server without holding it up.
func TestThePageShowsTheFleet(t *testing.T) {
	s := serveEmbedded(t, t.TempDir(), "--slots", "1")
	other := serve(t, "--broker", s.Broker, "--slots", "1")
	c := browser(t, nil)
	if status, body := s.get(t, c, "/", ""); status != 200 || !strings.Contains(body, "<title>Occamy") {
		t.Fatalf("the page: %d, %s", status, body)
	}
	stream := s.stream(t, c)
	s.begin(t, "r")
	seen := make(map[string]bool)
	stream.await(t, "r runs, and of both servers", func(u live.Update) bool {
		for _, server := range u.Servers {
			seen[server.ID] = true
			if slices.ContainsFunc(server.Slots, func(slot live.Slot) bool { return slot.ID == "r" }) {
				seen["r"] = true
			}
		}
		return seen[s.Server] && seen[other.Server] && seen["r"]
	})
	if status := s.call(t, c, "/api/task/cancel?id=r", "cross-site"); status != http.StatusForbidden {
		t.Errorf("a cancel by a page of another site: %d", status)
	}
	if status := s.call(t, c, "/api/task/cancel?id=r", "same-origin"); status != http.StatusNoContent {
		t.Errorf("a cancel: %d", status)
	}
	s.await(t, func(f fleet) bool {
		return len(f.Servers) == 2 && !slices.ContainsFunc(f.Servers, func(s occamy.Snapshot) bool { return busy(s.Slots) > 0 })
	})
	other.signals <- os.Interrupt
	if code := other.end(t); code != exitOK {
		t.Errorf("exit status %d", code)
	}
	stream.await(t, "a server is gone", func(u live.Update) bool {
		return slices.ContainsFunc(u.Events, func(e live.Event) bool { return e.Server == other.Server && e.Type == "gone" })
	})
	s.signals <- os.Interrupt
	if code := s.end(t); code != exitOK {
		t.Errorf("exit status %d with a page open", code)
	}
	for stream.lines.Scan() { // it ends, or the test does
	}
}

func TestThePageAsksForTheToken(t *testing.T) {
	s := serveAs(t, map[string]string{"OCCAMY_HTTP_TOKEN": httpToken}, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--sync=false")
	c := browser(t, nil)
	for _, path := range []string{"/", "/task/x", "/assets/app.js", "/api/fleet", "/api/task?id=x"} {
		if status, body := s.get(t, c, path, ""); status != http.StatusUnauthorized {
			t.Errorf("%s: %d, %s", path, status, body)
		}
	}
	for _, path := range []string{"/api/task/cancel?id=x", "/api/server/drain?id=" + s.Server} {
		if status := s.call(t, c, path, "same-origin"); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, status)
		}
	}
}
