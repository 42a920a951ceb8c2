package dashboard_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/dashboard"
)

// fleet is a dashboard.Fleet whose version is all that it has.
type fleet struct {
	mu      sync.Mutex
	version uint64
	changed chan struct{}
	asked   []uint64 // the versions that Since was asked for
	note    string   // goes along with each update
	task    *dashboard.Task
}

func newFleet() *fleet { return &fleet{version: 1, changed: make(chan struct{})} }

func (f *fleet) change() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fleet) Since(v uint64) (any, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, v)
	return map[string]any{"v": f.version, "full": v == 0, "note": f.note}, f.version
}

func (f *fleet) Wait(ctx context.Context, v uint64) error {
	for {
		f.mu.Lock()
		version, changed := f.version, f.changed
		f.mu.Unlock()
		if version > v {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fleet) Task(string) (dashboard.Task, bool) {
	if f.task == nil {
		return dashboard.Task{}, false
	}
	return *f.task, true
}

// operator is a dashboard.Client that writes down what it is asked for.
type operator struct {
	did     []string
	err     error
	outcome *occamy.Outcome
}

func (o *operator) do(what, id string) error {
	if o.err == nil {
		o.did = append(o.did, what+" "+id)
	}
	return o.err
}

func (o *operator) Cancel(_ context.Context, id string) error { return o.do("cancel", id) }
func (o *operator) Drain(_ context.Context, id string) error  { return o.do("drain", id) }
func (o *operator) Resume(_ context.Context, id string) error { return o.do("resume", id) }
func (o *operator) Result(context.Context, string) (occamy.Outcome, error) {
	if o.outcome == nil {
		return occamy.Outcome{}, broker.ErrNotFound
	}
	return *o.outcome, nil
}

func call(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// problem is what a refusal says; both parts must be there.
func problem(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var p struct{ Error, Hint string }
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Error == "" || p.Hint == "" {
		t.Errorf("refused with %q; want a JSON object with error and hint", w.Body)
	}
	return p.Error
}
