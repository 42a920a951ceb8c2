package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

// meter measures what tasks do by standing around them: it knows nothing of
// servers, slots or brokers.
type meter struct {
	mu   sync.Mutex
	runs map[string]*metered // by request ID
}

// metered is what one request got.
type metered struct {
	first    time.Time     // when its first Do began
	attempts int           // how often Do of the request itself began
	work     time.Duration // of the request and all its helpers, without the time that they took to stop
}

func newMeter() *meter { return &meter{runs: make(map[string]*metered)} }

// handler has the tasks of all kinds of a mux measured.
func (m *meter) handler(mux *occamy.Mux) *occamy.Mux {
	measured := new(occamy.Mux)
	for _, kind := range mux.Kinds() {
		measured.AddFunc(kind, func(ctx context.Context, r occamy.Request) (occamy.Task, error) {
			t, err := mux.Handle(ctx, r)
			if err != nil {
				return nil, err
			}
			return &meteredTask{Task: t, meter: m}, nil
		})
	}
	return measured
}

// of returns what the request of that ID got so far.
func (m *meter) of(id string) metered {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.runs[id]; r != nil {
		return *r
	}
	return metered{}
}

func (m *meter) at(id string, change func(*metered)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.runs[id]
	if r == nil {
		r = new(metered)
		m.runs[id] = r
	}
	change(r)
}

// requestOf is the ID of the request that a task works for: helpers bear their
// master's ID, a slash and a name of their own.
func requestOf(id string) (request string, helper bool) {
	request, _, helper = strings.Cut(id, "/")
	return request, helper
}

type meteredTask struct {
	occamy.Task
	meter *meter
}

func (t *meteredTask) Do(ctx context.Context) error {
	info, _ := occamy.InfoFromContext(ctx)
	id, helper := requestOf(info.ID)
	began := time.Now()
	t.meter.at(id, func(r *metered) {
		if helper {
			return
		}
		if r.attempts++; r.attempts == 1 {
			r.first = began
		}
	})
	count := sync.OnceFunc(func() {
		worked := time.Since(began)
		t.meter.at(id, func(r *metered) { r.work += worked })
	})
	stopped := context.AfterFunc(ctx, count)
	err := t.Task.Do(ctx)
	stopped()
	count()
	return err
}

// Expand, Control and Settled pass on to the task; one that has none of them
// offers nothing and ignores the message.
func (t *meteredTask) Expand(ctx context.Context, n int) []occamy.Task {
	e, ok := t.Task.(occamy.Expander)
	if !ok {
		return nil
	}
	tasks := slices.Clone(e.Expand(ctx, n))
	for i, helper := range tasks {
		tasks[i] = &meteredTask{Task: helper, meter: t.meter}
	}
	return tasks
}

func (t *meteredTask) Control(ctx context.Context, h occamy.Headers, body []byte) error {
	if c, ok := t.Task.(occamy.Controller); ok {
		return c.Control(ctx, h, body)
	}
	return nil
}

func (t *meteredTask) Settled(ctx context.Context, s occamy.Settlement) {
	if o, ok := t.Task.(occamy.SettleObserver); ok {
		o.Settled(ctx, s)
	}
}
