package assist_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/client"
)

// behaviours are what a job of units promises, on any broker.
var behaviours = []struct {
	name string
	test func(t *testing.T, p place)
}{
	{"units are collected once, in order", func(t *testing.T, p place) { collectedOnce(t, p, true) }},
	{"units are collected once, as they come", func(t *testing.T, p place) { collectedOnce(t, p, false) }},
	{"units come as a stream", stream},
	{"a unit that fails is computed again", failsOnce},
	{"a unit that always fails ends the job", failsAlways},
	{"a unit that panics ends the job", panics},
	{"a slow Collect holds the rest back", slowCollect},
	{"assistants end when the job is cancelled", cancelled},
	{"assistants end when the job fails", failed},
	{"an assistant that waited in a queue ends at once", waited},
	{"assistants are taken over by the next attempt", takenOver},
	{"an assistant whose server is lost loses its units", lostServer},
	{"sizes", sizes},
	{"two requests with one ID do not mix", sameID},
	{"a request without an ID", withoutID},
	{"more are needed than there are slots", tooFewSlots},
	{"no assistants are wanted", alone},
}

func TestInMemory(t *testing.T) { runOn(t, inMemory) }
func TestOnNATS(t *testing.T)   { runOn(t, onNATS) }

func runOn(t *testing.T, open func(*testing.T) place) {
	p := open(t)
	for _, b := range behaviours {
		t.Run(strings.ReplaceAll(b.name, " ", "_"), func(t *testing.T) { b.test(t, p) })
	}
}

func wantResult(t *testing.T, o occamy.Outcome, err error, want string) {
	t.Helper()
	if err != nil || string(o.Result) != want {
		t.Errorf("got %.100q (%s), %v, want %q", o.Result, o.Reason, err, want)
	}
}

func wantReason(t *testing.T, o occamy.Outcome, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !errors.Is(err, client.ErrRejected) || !strings.Contains(err.Error(), part) {
			t.Errorf("got %+v, %v, want a rejection that says %q", o, err, part)
		}
	}
}

// journal is what a job has collected; the values of one job share it.
type collected struct {
	mu    sync.Mutex
	order []int
}

func (c *collected) collect(i int, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if string(r) != strconv.Itoa(i) {
		return fmt.Errorf("unit %d: %s", i, r)
	}
	c.order = append(c.order, i)
	return nil
}

func (c *collected) check(t *testing.T, n int, ordered bool) {
	t.Helper()
	seen := map[int]bool{}
	for k, i := range c.order {
		if seen[i] || ordered && k != i {
			t.Errorf("collected %v", c.order)
			return
		}
		seen[i] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d units were collected", len(seen), n)
	}
}

func collectedOnce(t *testing.T, p place, ordered bool) {
	f := newFleet(t, p)
	var c collected
	var tasks atomic.Int64
	h := plays(assist.Config{Ordered: ordered}, func(occamy.Request) *play {
		tasks.Add(1)
		return &play{n: 150, collect: c.collect, compute: func(ctx context.Context, u []byte) ([]byte, error) {
			i, _ := strconv.Atoi(string(u))
			return u, pause(ctx, time.Duration(1+i%7)*5*time.Millisecond)
		}}
	})
	f.serve(2, h)
	f.serve(3, h)
	o, err := f.run(fmt.Sprint("once-", ordered), "")
	wantResult(t, o, err, "done")
	c.check(t, 150, ordered)
	if n := tasks.Load(); n < 6 { // one for the books, and one for each slot
		t.Errorf("%d values were made; not all slots have worked", n)
	}
}

func stream(t *testing.T, p place) {
	f := newFleet(t, p)
	var c collected
	h := plays(assist.Config{}, func(occamy.Request) *play {
		return &play{collect: c.collect, units: func(yield func([]byte, error) bool) {
			for i := range 30 {
				time.Sleep(5 * time.Millisecond)
				if !yield([]byte(strconv.Itoa(i)), nil) {
					return
				}
			}
		}}
	})
	f.serve(2, h)
	f.serve(2, h)
	o, err := f.run("stream", "")
	wantResult(t, o, err, "done")
	c.check(t, 30, false)
}

func failsOnce(t *testing.T, p place) {
	f := newFleet(t, p)
	var c collected
	var fails atomic.Int64
	h := plays(assist.Config{Retries: 1}, func(occamy.Request) *play {
		return &play{n: 40, collect: c.collect, compute: func(ctx context.Context, u []byte) ([]byte, error) {
			if string(u) == "7" && fails.Add(1) == 1 {
				return nil, errors.New("no luck")
			}
			return u, pause(ctx, 2*time.Millisecond)
		}}
	})
	f.serve(2, h)
	o, err := f.run("fails-once", "")
	wantResult(t, o, err, "done")
	c.check(t, 40, false)
}

func failsAlways(t *testing.T, p place) {
	f := newFleet(t, p)
	var tried atomic.Int64
	h := plays(assist.Config{Retries: 2}, func(occamy.Request) *play {
		return &play{n: 40, compute: func(ctx context.Context, u []byte) ([]byte, error) {
			if string(u) == "7" {
				tried.Add(1)
				return nil, errors.New("division by zero")
			}
			return u, pause(ctx, 2*time.Millisecond)
		}}
	})
	f.serve(2, h)
	f.serve(2, h)
	o, err := f.run("fails", "")
	wantReason(t, o, err, "unit 7", "3 times", "division by zero")
	if n := tried.Load(); n != 3 {
		t.Errorf("computed %d times, want 3", n)
	}
}

func panics(t *testing.T, p place) {
	f := newFleet(t, p)
	h := plays(assist.Config{Retries: -1}, func(occamy.Request) *play {
		return &play{n: 3, compute: func(_ context.Context, u []byte) ([]byte, error) {
			if string(u) == "1" {
				panic("index out of reach")
			}
			return u, nil
		}}
	})
	f.serve(2, h)
	o, err := f.run("panics", "")
	wantReason(t, o, err, "unit 1", "index out of reach")
}

// Units of 64 KiB, of which the buffer holds 16.
func slowCollect(t *testing.T, p place) {
	f := newFleet(t, p)
	var ahead, most, computed atomic.Int64
	h := plays(assist.Config{Buffer: 1 << 20, Window: 500}, func(occamy.Request) *play {
		return &play{
			n: 300,
			compute: func(context.Context, []byte) ([]byte, error) {
				computed.Add(1)
				if n := ahead.Add(1); n > most.Load() {
					most.Store(n)
				}
				return make([]byte, 64<<10), nil
			},
			collect: func(int, []byte) error {
				ahead.Add(-1)
				time.Sleep(2 * time.Millisecond)
				return nil
			},
		}
	})
	f.serve(2, h)
	f.serve(2, h)
	o, err := f.run("slow", "")
	wantResult(t, o, err, "done")
	// What the buffer holds, and what was on its way before a result had come.
	if n := most.Load(); n > 16+4*3 {
		t.Errorf("%d results of 64 KiB waited at a time", n)
	}
}

func sizes(t *testing.T, p place) {
	f := newFleet(t, p)
	// All is computed by the assistant: the master's own task waits for it.
	h := func(unit, result int) func(client.Broker) occamy.Handler {
		return plays(assist.Config{Retries: -1, Least: 1}, func(occamy.Request) *play {
			var sum int
			return &play{
				units: func(yield func([]byte, error) bool) {
					for range 4 {
						if !yield(make([]byte, unit), nil) {
							return
						}
					}
				},
				compute: func(ctx context.Context, u []byte) ([]byte, error) {
					if len(u) != unit {
						return nil, fmt.Errorf("the unit has %d bytes, want %d", len(u), unit)
					}
					return make([]byte, result), pause(ctx, 300*time.Millisecond)
				},
				collect: func(_ int, r []byte) error { sum += len(r); return nil },
				result:  func() ([]byte, error) { return []byte(strconv.Itoa(sum)), nil },
			}
		})
	}
	most := p.maxPayload
	for _, s := range []struct {
		unit, result int
		reason       string
	}{
		{0, 0, ""},
		{1 << 20, 1 << 20, ""},
		{most - 200, most - 300, ""},
		{most, 1, "make units smaller"},
		{1, most, "return less"},
	} {
		t.Run(fmt.Sprintf("%d_%d", s.unit, s.result), func(t *testing.T) {
			a, b := f.serve(1, h(s.unit, s.result)), f.serve(1, h(s.unit, s.result))
			o, err := f.run(fmt.Sprintf("sizes-%d-%d", s.unit, s.result), "")
			if s.reason == "" {
				wantResult(t, o, err, strconv.Itoa(4*s.result))
			} else {
				wantReason(t, o, err, s.reason)
			}
			a.stop(time.Second)
			b.stop(time.Second)
		})
	}
}

func sameID(t *testing.T, p place) {
	f := newFleet(t, p)
	var sums sync.Map // by body
	h := plays(assist.Config{}, func(r occamy.Request) *play {
		body := string(r.Body)
		n := 0
		return &play{
			n: 40,
			compute: func(ctx context.Context, u []byte) ([]byte, error) {
				return []byte(body), pause(ctx, 10*time.Millisecond)
			},
			collect: func(_ int, r []byte) error {
				if n++; string(r) != body {
					return fmt.Errorf("a result of %s for %s", r, body)
				}
				return nil
			},
			result: func() ([]byte, error) { sums.Store(body, n); return nil, nil },
		}
	})
	f.serve(2, h)
	f.serve(2, h)
	for k, body := range []string{"black", "white"} {
		// A broker drops the second of two requests with one ID, where it can tell;
		// that is by kind. Under another kind it is another job, too.
		headers := occamy.Headers{"Same": strconv.Itoa(k)}
		if _, err := f.client.Submit(t.Context(), client.Request{Kind: f.kind, ID: "same", Headers: headers, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.client.Wait(t.Context(), "same", nil); err != nil {
		t.Error(err)
	}
	f.await("one has ended", func() bool { _, ok := sums.Load("black"); return ok })
	sums.Range(func(body, n any) bool {
		if n != 40 {
			t.Errorf("%v has collected %v results", body, n)
		}
		return true
	})
}

func withoutID(t *testing.T, p place) {
	f := newFleet(t, p)
	h := plays(assist.Config{Store: &checkpoint.Memory{}, Least: 1}, func(occamy.Request) *play { return &play{n: 10} })
	f.serve(2, h)
	o, err := f.client.SubmitAndWait(t.Context(), client.Request{Kind: f.kind}, nil)
	wantResult(t, o, err, "done")
}

func tooFewSlots(t *testing.T, p place) {
	f := newFleet(t, p)
	h := plays(assist.Config{Least: 5}, func(occamy.Request) *play {
		return &play{n: 40, compute: func(ctx context.Context, u []byte) ([]byte, error) { return u, pause(ctx, 5*time.Millisecond) }}
	})
	f.serve(2, h)
	o, err := f.run("few", "")
	wantResult(t, o, err, "done")
	f.await("no request waits", func() bool {
		all, err := f.client.Servers(t.Context(), 100*time.Millisecond)
		if err != nil || len(all) != 1 {
			return false
		}
		for _, s := range all[0].Slots {
			if s.Status != occamy.Empty {
				return false
			}
		}
		return true
	})
}

func alone(t *testing.T, p place) {
	f := newFleet(t, p)
	var made atomic.Int64
	h := plays(assist.Config{Most: -1}, func(occamy.Request) *play {
		made.Add(1)
		return &play{n: 40, compute: func(ctx context.Context, u []byte) ([]byte, error) { return u, pause(ctx, 5*time.Millisecond) }}
	})
	f.serve(2, h)
	o, err := f.run("alone", "")
	wantResult(t, o, err, "done")
	if n := made.Load(); n != 2 {
		t.Errorf("%d values were made, want one for the books and one that computes", n)
	}
}
