package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/internal/ops"
)

// world is a server and a broker that say what a test wants.
type world struct {
	own     occamy.Snapshot
	servers []occamy.Snapshot
	queues  []broker.Queue
	err     error         // of the broker
	slow    time.Duration // that the broker takes
	stuck   chan struct{} // the table does not answer until it is closed; nil: it does

	pings, asked atomic.Int32
}

func (w *world) Snapshot() occamy.Snapshot {
	if w.stuck != nil {
		<-w.stuck
	}
	return w.own
}

func (w *world) wait(ctx context.Context) error {
	select {
	case <-time.After(w.slow):
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) Ping(ctx context.Context) error {
	w.pings.Add(1)
	return w.wait(ctx)
}

func (w *world) Queues(ctx context.Context) ([]broker.Queue, error) {
	w.asked.Add(1)
	return w.queues, w.wait(ctx)
}

func (w *world) Servers(ctx context.Context, _ time.Duration) ([]occamy.Snapshot, error) {
	w.asked.Add(1)
	return w.servers, w.wait(ctx)
}

type knownKey struct{}

func known(ctx context.Context) bool { return ctx.Value(knownKey{}) != nil }

func (w *world) ops() *ops.Ops {
	o := ops.New(w, w, known)
	o.Ready()
	return o
}

// get returns what a handler answers to whom it knows.
func get(h http.HandlerFunc, target string) (status int, body string) {
	r := httptest.NewRequest("GET", target, nil)
	return getAs(h, r.WithContext(context.WithValue(r.Context(), knownKey{}, true)))
}

func getAs(h http.HandlerFunc, r *http.Request) (status int, body string) {
	rec := httptest.NewRecorder()
	h(rec, r)
	return rec.Code, rec.Body.String()
}

func TestReadiness(t *testing.T) {
	cut := errors.New("no route")
	for _, tc := range []struct {
		name   string
		world  *world
		act    func(*ops.Ops)
		status int
		why    string
	}{
		{name: "it serves", world: &world{}, status: 200, why: "ok\n"},
		{name: "it drains", world: &world{own: occamy.Snapshot{Draining: true}}, status: 503, why: "no: draining\n"},
		{name: "it closes", world: &world{own: occamy.Snapshot{Closing: true}}, status: 503, why: "no: closing\n"},
		{name: "it is about to close", world: &world{}, act: (*ops.Ops).Stopping, status: 503, why: "no: closing\n"},
		{name: "it is cut off from the broker", world: &world{err: cut}, status: 503, why: "no: cut off from the broker: no route\n"},
		{name: "the broker does not answer", world: &world{slow: time.Hour}, status: 503, why: "no: cut off from the broker: context deadline exceeded\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := tc.world.ops()
				if tc.act != nil {
					tc.act(o)
				}
				if status, body := get(o.Readyz, "/readyz"); status != tc.status || body != tc.why {
					t.Errorf("%d, %q; want %d, %q", status, body, tc.status, tc.why)
				}
				if status, body := getAs(o.Readyz, httptest.NewRequest("GET", "/readyz", nil)); status != tc.status || len(body) > 3 {
					t.Errorf("who is not known is told %d, %q; want %d and no more than yes or no", status, body, tc.status)
				}
				if status, _ := get(o.Healthz, "/healthz"); status != 200 {
					t.Errorf("it does not live: %d", status)
				}
			})
		})
	}
}

func TestItIsNotReadyWhileItStarts(t *testing.T) {
	o := ops.New(&world{}, &world{}, known)
	if status, body := get(o.Readyz, "/readyz"); status != 503 || body != "no: starting\n" {
		t.Errorf("%d, %q", status, body)
	}
	o.Ready()
	if status, _ := get(o.Readyz, "/readyz"); status != 200 {
		t.Errorf("then %d", status)
	}
	o.Stopping()
	o.Ready() // comes too late
	if status, _ := get(o.Readyz, "/readyz"); status != 503 {
		t.Errorf("at the end %d", status)
	}
}

// A table that does not answer makes the server dead, and costs one goroutine
// however often it is asked.
func TestATableThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world{stuck: make(chan struct{})}
		o := w.ops()
		for range 3 {
			start := time.Now()
			for _, h := range []http.HandlerFunc{o.Healthz, o.Readyz} {
				if status, body := get(h, "/"); status != 503 || !strings.Contains(body, "table") {
					t.Errorf("%d, %q", status, body)
				}
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
		}
		close(w.stuck)
		synctest.Wait()
		if status, _ := get(o.Healthz, "/"); status != 200 {
			t.Errorf("afterwards %d", status)
		}
	})
}

// snapshot is a server with protected tasks and helpers on its slots.
func snapshot(id string, slots, protected, helpers int) occamy.Snapshot {
	s := occamy.Snapshot{Server: id, Slots: make([]occamy.SlotInfo, slots)}
	for i := range s.Slots {
		switch {
		case i < protected:
			s.Slots[i].Status = occamy.Protected
		case i < protected+helpers:
			s.Slots[i].Status = occamy.Internal
		default:
			s.Slots[i].Status = occamy.Empty
		}
	}
	return s
}

func TestScale(t *testing.T) {
	waiting := snapshot("a", 4, 4, 0)
	waiting.Waiting, waiting.Held, waiting.Converting = 1, 2, 3
	draining, closing := snapshot("d", 4, 4, 0), snapshot("c", 4, 1, 0)
	draining.Draining, closing.Closing = true, true
	queued := func(n int) []broker.Queue {
		return []broker.Queue{{Kind: "k", Ready: n, Unacked: 9, Dead: 7}, {Kind: "l", Ready: 1}}
	}
	for _, tc := range []struct {
		name   string
		world  *world
		target string
		want   ops.FleetScale
	}{
		{
			"helpers are no load", &world{servers: []occamy.Snapshot{snapshot("a", 4, 1, 3), snapshot("b", 4, 2, 2)}}, "",
			ops.FleetScale{Servers: 2, Load: ops.Load{Slots: 8, Protected: 3, Ratio: 0.375}, Requests: 3, Demand: 0.375, Target: 0.7, Desired: 2},
		},
		{
			"what waits is load", &world{servers: []occamy.Snapshot{waiting}, queues: queued(9)}, "",
			ops.FleetScale{Servers: 1, Load: ops.Load{Slots: 4, Protected: 4, Waiting: 6, Ratio: 2.5}, Queue: 10, Requests: 20, Demand: 5, Target: 0.7, Desired: 8},
		},
		{
			"servers that drain or close are not there", &world{servers: []occamy.Snapshot{snapshot("a", 4, 2, 0), draining, closing}}, "",
			ops.FleetScale{Servers: 1, Load: ops.Load{Slots: 4, Protected: 2, Ratio: 0.5}, Requests: 2, Demand: 0.5, Target: 0.7, Desired: 1},
		},
		{
			"a target that is met to the point wants no more", &world{servers: []occamy.Snapshot{snapshot("a", 10, 7, 0)}}, "0.7",
			ops.FleetScale{Servers: 1, Load: ops.Load{Slots: 10, Protected: 7, Ratio: 0.7}, Requests: 7, Demand: 0.7, Target: 0.7, Desired: 1},
		},
		{
			"the target of who asks", &world{servers: []occamy.Snapshot{snapshot("a", 10, 7, 0)}}, "0.5",
			ops.FleetScale{Servers: 1, Load: ops.Load{Slots: 10, Protected: 7, Ratio: 0.7}, Requests: 7, Demand: 0.7, Target: 0.5, Desired: 2},
		},
		{
			"nothing to do leaves one server", &world{servers: []occamy.Snapshot{snapshot("a", 4, 0, 0), snapshot("b", 4, 0, 0)}}, "",
			ops.FleetScale{Servers: 2, Load: ops.Load{Slots: 8}, Target: 0.7, Desired: 1},
		},
		{
			"nobody takes requests", &world{servers: []occamy.Snapshot{draining}, queues: queued(3)}, "",
			ops.FleetScale{Queue: 4, Requests: 4, Target: 0.7, Desired: 1},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.world.own = snapshot("own", 2, 1, 1)
			target := "/scale"
			if tc.target != "" {
				target += "?target=" + tc.target
			}
			status, body := get(tc.world.ops().ServeScale, target)
			var got ops.Scale
			if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
				t.Fatalf("%d, %v: %s", status, err, body)
			}
			want := ops.Scale{Server: ops.ServerScale{ID: "own", Load: ops.Load{Slots: 2, Protected: 1, Ratio: 0.5}}, Fleet: tc.want}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// An autoscaler must not take an unknown load for none.
func TestAFleetThatIsNotKnownIsAnError(t *testing.T) {
	for _, target := range []string{"x", "0", "-1", "NaN", "Inf", "1e9"} {
		if status, body := get((&world{}).ops().ServeScale, "/scale?target="+target); status != 400 || !strings.Contains(body, "hint") {
			t.Errorf("target %s: %d, %s", target, status, body)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for _, w := range []*world{{err: errors.New("no route")}, {slow: time.Hour}} {
			start := time.Now()
			status, body := get(w.ops().ServeScale, "/scale")
			if status != 503 || !strings.Contains(body, "hint") {
				t.Errorf("%d, %s", status, body)
			}
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("it took %v", took)
			}
		}
	})
}

// Whoever asks often asks the broker seldom.
func TestTheBrokerIsAskedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world{slow: 10 * time.Millisecond}
		o := w.ops()
		many := func() {
			for range 50 {
				go get(o.Readyz, "/readyz")
				go get(o.ServeScale, "/scale")
			}
			time.Sleep(50 * time.Millisecond)
		}
		many()
		many()
		if p, a := w.pings.Load(), w.asked.Load(); p != 1 || a != 2 {
			t.Errorf("at once: %d pings, %d questions; want 1 and 2", p, a)
		}
		time.Sleep(time.Second)
		many()
		if p, a := w.pings.Load(), w.asked.Load(); p != 2 || a != 3 { // queues are kept for longer
			t.Errorf("a second later: %d pings, %d questions in all; want 2 and 3", p, a)
		}
	})
}

func TestMetricsSayWhetherTheBrokerIsReached(t *testing.T) {
	for want, w := range map[float64]*world{1: {}, 0: {err: errors.New("no route")}} {
		connected := w.ops().Connected()
		if got := testutil.ToFloat64(connected); got != want {
			t.Errorf("%v, want %v", got, want)
		}
		if problems, err := testutil.CollectAndLint(connected); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
	}
}
