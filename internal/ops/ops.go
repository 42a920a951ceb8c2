// Package ops answers what the tools of operators ask of a server over HTTP:
// whether it lives, whether it is ready for requests, and how many servers the
// load wants. What it asks the broker for that, it asks seldom, however often it
// is asked.
package ops

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Server is what is asked of an *occamy.Server.
type Server interface {
	Snapshot() occamy.Snapshot
}

// Broker is what is asked of a broker.Broker, and Ping of one that is a
// broker.Pinger.
type Broker interface {
	Queues(ctx context.Context) ([]broker.Queue, error)
	Servers(ctx context.Context, wait time.Duration) ([]occamy.Snapshot, error)
}

const (
	tableTime  = 2 * time.Second // for the server's table to answer
	pingTime   = 2 * time.Second
	pingAge    = time.Second
	queuesTime = 3 * time.Second
	queuesAge  = 5 * time.Second
)

// Ops answers for one server. Make it with New.
type Ops struct {
	server Server
	broker Broker
	known  func(context.Context) bool
	life   atomic.Int32
	table  cached[occamy.Snapshot]
	ping   cached[struct{}]
	queues cached[[]broker.Queue]
	fleet  cached[[]occamy.Snapshot]
}

// The life of a server as who starts it sees it.
const (
	starting int32 = iota
	serving
	stopping
)

// Ready says that the server is there for requests, which Readyz denies before.
func (o *Ops) Ready() { o.life.CompareAndSwap(starting, serving) }

// Stopping has Readyz say no from now on.
func (o *Ops) Stopping() { o.life.Store(stopping) }

// New returns the answers for a server and its broker. known tells whether who
// asks may hear more than yes and no; nil: nobody may.
func New(s Server, b Broker, known func(context.Context) bool) *Ops {
	if known == nil {
		known = func(context.Context) bool { return false }
	}
	o := &Ops{server: s, broker: b, known: known}
	o.table = cached[occamy.Snapshot]{limit: tableTime, ask: func(context.Context) (occamy.Snapshot, error) { return s.Snapshot(), nil }}
	o.ping = cached[struct{}]{age: pingAge, limit: pingTime, ask: func(ctx context.Context) (struct{}, error) {
		if p, ok := b.(broker.Pinger); ok {
			return struct{}{}, p.Ping(ctx)
		}
		return struct{}{}, nil
	}}
	o.queues = cached[[]broker.Queue]{age: queuesAge, limit: queuesTime, ask: b.Queues}
	o.fleet = cached[[]occamy.Snapshot]{age: fleetAge, limit: fleetTime, ask: func(ctx context.Context) ([]occamy.Snapshot, error) {
		return b.Servers(ctx, fleetWait)
	}}
	return o
}

// Healthz says that the process lives: the server's table answers.
func (o *Ops) Healthz(w http.ResponseWriter, r *http.Request) {
	if _, err := o.table.get(r.Context()); err != nil {
		o.no(w, r, "the server's table does not answer")
		return
	}
	yes(w)
}

// Readyz says that the server takes requests: it neither drains nor ends, and
// reaches its broker.
func (o *Ops) Readyz(w http.ResponseWriter, r *http.Request) {
	s, err := o.table.get(r.Context())
	switch {
	case err != nil:
		o.no(w, r, "the server's table does not answer")
		return
	case o.life.Load() == starting:
		o.no(w, r, "starting")
		return
	case s.Closing || o.life.Load() == stopping:
		o.no(w, r, "closing")
		return
	case s.Draining:
		o.no(w, r, "draining")
		return
	}
	if _, err := o.ping.get(r.Context()); err != nil {
		o.no(w, r, "cut off from the broker: "+err.Error())
		return
	}
	yes(w)
}

func yes(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // the client may be gone
}

// no says why to whom it may.
func (o *Ops) no(w http.ResponseWriter, r *http.Request, why string) {
	text := "no\n"
	if o.known(r.Context()) {
		text = "no: " + why + "\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(text)) // the client may be gone
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
