package dashboard_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/dashboard"
)

var hostile = []string{
	`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `..`, `.`, `../../etc/passwd`, `a/b?c#d%2f`,
	`'; DROP TABLE --`, "\u202eevil", `%00`, strings.Repeat("W", 1024),
}

func TestButtonsActOnTheIDAsItIs(t *testing.T) {
	for _, verb := range []struct{ path, what string }{{"/api/task/cancel", "cancel"}, {"/api/server/drain", "drain"}, {"/api/server/resume", "resume"}} {
		o := &operator{}
		h := dashboard.New(dashboard.Config{Fleet: newFleet(), Client: o})
		for _, id := range hostile {
			w := call(h, "POST", verb.path+"?id="+url.QueryEscape(id), "Sec-Fetch-Site", "same-origin")
			if w.Code != http.StatusNoContent || !slices.Contains(o.did, verb.what+" "+id) {
				t.Errorf("%s of %q answers %d, did %q", verb.what, id, w.Code, o.did)
			}
		}
	}
}

func TestTheCallsAreThereAsPathsToo(t *testing.T) {
	o := &operator{}
	h := dashboard.New(dashboard.Config{Fleet: newFleet(), Client: o})
	for _, target := range []string{"/api/tasks/r%2F1/cancel", "/api/servers/s1/drain", "/api/servers/s1/resume"} {
		if w := call(h, "POST", target); w.Code != http.StatusNoContent {
			t.Errorf("POST %s answers %d", target, w.Code)
		}
	}
	if want := []string{"cancel r/1", "drain s1", "resume s1"}; !slices.Equal(o.did, want) {
		t.Errorf("did %q, want %q", o.did, want)
	}
}

func TestNoPageOfAnotherSiteChangesAnything(t *testing.T) {
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://elsewhere.example"}, {"Origin", "null"}} {
		o := &operator{}
		h := dashboard.New(dashboard.Config{Fleet: newFleet(), Client: o})
		for _, target := range []string{"/api/task/cancel?id=r1", "/api/tasks/r1/cancel", "/api/server/drain?id=s1", "/api/servers/s1/drain", "/api/server/resume?id=s1"} {
			w := call(h, "POST", target, header...)
			if w.Code != http.StatusForbidden || len(o.did) > 0 {
				t.Errorf("POST %s with %q answers %d, did %q", target, header, w.Code, o.did)
			}
			problem(t, w)
		}
	}
}

func TestOnlyPostChangesAnything(t *testing.T) {
	o := &operator{}
	h := dashboard.New(dashboard.Config{Fleet: newFleet(), Client: o})
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		if w := call(h, method, "/api/task/cancel?id=r1"); w.Code != http.StatusMethodNotAllowed || len(o.did) > 0 {
			t.Errorf("%s answers %d, did %q", method, w.Code, o.did)
		}
	}
}

func TestARefusalSaysWhatToDo(t *testing.T) {
	lost := &operator{err: errors.New("connection refused")}
	odd := &operator{err: fmt.Errorf("%w: the ID has a control character", broker.ErrInvalid)}
	for _, c := range []struct {
		name           string
		client         dashboard.Client
		method, target string
		status         int
		text           string
	}{
		{"no ID", lost, "POST", "/api/task/cancel", 400, "no valid ID"},
		{"a long ID", lost, "POST", "/api/task/cancel?id=" + strings.Repeat("x", 1025), 400, "no valid ID"},
		{"an ID that is no text", lost, "POST", "/api/task/cancel?id=%ff", 400, "no valid ID"},
		{"an ID that the broker refuses", odd, "POST", "/api/task/cancel?id=%01", 400, "control character"},
		{"the broker is away", lost, "POST", "/api/server/drain?id=s1", 502, "connection refused"},
		{"a page that only shows", nil, "POST", "/api/task/cancel?id=r1", 403, "only shows"},
		{"an unknown task", nil, "GET", "/api/task?id=r1", 404, "nothing is known"},
		{"no such file", nil, "GET", "/assets/none", 404, "no such file"},
	} {
		w := call(dashboard.New(dashboard.Config{Fleet: newFleet(), Client: c.client}), c.method, c.target)
		if text := problem(t, w); w.Code != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: answers %d %q, want %d and %q in it", c.name, w.Code, text, c.status, c.text)
		}
	}
}

type answer struct {
	ID      string
	Slots   []any
	Events  []any
	Outcome *struct {
		Status, Result, Encoding, Reason string
		Size                             int
		Truncated                        bool
	}
}

func ask(t *testing.T, o occamy.Outcome, id string) (a answer) {
	t.Helper()
	h := dashboard.New(dashboard.Config{Fleet: newFleet(), Client: &operator{outcome: &o}})
	w := call(h, "GET", "/api/task?id="+url.QueryEscape(id))
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Fatalf("answers %d %s %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(w.Body.String(), "<>") {
		t.Errorf("the answer has markup in it: %s", w.Body)
	}
	return a
}

func TestAResultStaysText(t *testing.T) {
	for _, text := range hostile {
		a := ask(t, occamy.Outcome{Status: occamy.Completed, Result: []byte(text), Reason: text}, text)
		if a.ID != text || a.Outcome.Result != text || a.Outcome.Reason != text || a.Outcome.Encoding != "" {
			t.Errorf("%q comes as %+v", text, a)
		}
	}
}

func TestAResultThatIsNoTextIsBase64(t *testing.T) {
	a := ask(t, occamy.Outcome{Status: occamy.Completed, Result: []byte{0xff, 0xfe}}, "r1")
	if a.Outcome.Result != "//4=" || a.Outcome.Encoding != "base64" {
		t.Errorf("comes as %+v", a.Outcome)
	}
}

func TestOfALargeResultTheBeginningIsShown(t *testing.T) {
	whole := strings.Repeat("é", 1<<20)
	a := ask(t, occamy.Outcome{Status: occamy.Completed, Result: []byte("x" + whole)}, "r1")
	if !a.Outcome.Truncated || a.Outcome.Size != 1+len(whole) || len(a.Outcome.Result) > 1<<16 || !strings.HasPrefix("x"+whole, a.Outcome.Result) {
		t.Errorf("comes with %d of %d bytes, truncated: %v", len(a.Outcome.Result), a.Outcome.Size, a.Outcome.Truncated)
	}
}

func TestATaskIsShownWithoutAnOutcome(t *testing.T) {
	f := newFleet()
	f.task = &dashboard.Task{Slots: []any{map[string]any{"server": "s1"}}}
	w := call(dashboard.New(dashboard.Config{Fleet: f, Client: &operator{}}), "GET", "/api/tasks/r1")
	if got, want := strings.TrimSpace(w.Body.String()), `{"id":"r1","slots":[{"server":"s1"}],"events":[],"progress":null,"outcome":null}`; got != want {
		t.Errorf("answers %s, want %s", got, want)
	}
}
