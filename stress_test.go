package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// TestStress throws everything at a server, from several goroutines, and shuts
// it down in the middle. Each message must be settled once, or never when its
// delivery was lost or its broker takes nothing; no more tasks than slots run;
// nothing is left behind.
func TestStress(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newStress(t, seed).run() })
		})
	}
}

const (
	stressSlots     = 5
	stressProducers = 4
	stressActions   = 60
)

type stress struct {
	*fixture
	seed    uint64
	running atomic.Int32

	mu       sync.Mutex
	requests []*stressMessage // guarded by mu
	controls []*occamytest.Message
}

// stressMessage is a request and what its broker does.
type stressMessage struct {
	*occamytest.Delivery
	lost atomic.Bool
	deaf bool // every settling fails
}

func newStress(t *testing.T, seed uint64) *stress {
	s := &stress{seed: seed}
	s.fixture = newFixture(t, stressSlots, func(c *occamy.Config) {
		c.Handler = occamy.HandlerFunc(s.handleRandomly)
		c.HandlerTimeout = 40 * time.Millisecond
		c.KillTimeout = 60 * time.Millisecond
		c.ExpandTimeout = 20 * time.Millisecond
		c.SettleTimeout = 2 * time.Second
		c.ExpansionPeriod = 100 * time.Millisecond
		c.CancelMemory = 50 * time.Millisecond
		c.MaxBacklog = 8
		c.InboxSize = 2
		c.Headroom = int(seed % 2)
	})
	return s
}

func (s *stress) rand(stream int) *rand.Rand { return rand.New(rand.NewPCG(s.seed, uint64(stream))) }

func randomID(r *rand.Rand) string { return fmt.Sprint("id", r.IntN(12)) }

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

func (s *stress) run() {
	var producers sync.WaitGroup
	for p := range stressProducers {
		r := s.rand(p)
		producers.Go(func() {
			for range stressActions {
				s.act(r)
				if r.IntN(3) > 0 {
					after(upTo(r, 15*time.Millisecond))
				}
			}
		})
	}
	// Half of the seeds shut down while the producers still produce.
	if s.seed%2 == 0 {
		producers.Wait()
	} else {
		after(upTo(s.rand(99), 400*time.Millisecond))
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if d := time.Since(begun); d > 100*time.Millisecond+60*time.Millisecond+2*time.Second {
		s.Errorf("Shutdown took %v", d)
	}
	if err != nil && !errors.Is(err, occamy.ErrStuck) && !errors.Is(err, occamy.ErrNotSettled) {
		s.Errorf("Shutdown: %v", err)
	}
	producers.Wait()
	after(time.Hour)
	s.check()
}

func (s *stress) check() {
	synctest.Wait()
	snap := s.server.Snapshot()
	if got := strings.Trim(draw(snap), "- "); got != "" || snap.Converting+snap.Waiting+snap.Held+snap.Backlog != 0 {
		s.Errorf("left behind: %s, %+v", got, snap)
	}
	if n := s.running.Load(); n != 0 {
		s.Errorf("%d still run", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.requests {
		n, lost := len(m.Settlements()), m.lost.Load()
		if n > 1 || n == 0 && !lost && !m.deaf {
			s.Errorf("request %d (lost %t, deaf %t) was settled %v after %d tries", i, lost, m.deaf, m.Settlements(), m.Calls())
		}
	}
	for _, m := range s.controls {
		if got := m.Settlements(); len(got) != 1 || got[0].Fate != occamytest.Acked {
			s.Errorf("control message %v was settled %v", m.Headers(), got)
		}
	}
	for _, err := range s.monitor.Errors() {
		var p *occamy.PanicError
		if errors.As(err, &p) && p.Value != nil && p.Value != "wild" && p.Op != "Message" {
			s.Errorf("a panic of the server's own: %v", err)
		}
	}
}

// act does one random thing to the server.
func (s *stress) act(r *rand.Rand) {
	switch r.IntN(20) {
	default:
		s.sendRequest(r)
	case 0, 1, 2:
		s.sendControl(occamytest.RequestHeaders(kind, randomID(r)))
	case 3, 4, 5, 6:
		s.sendControl(occamytest.ControlHeaders(randomID(r)))
	case 7, 8:
		s.sendControl(occamytest.CommandHeaders(occamy.CommandCancel, randomID(r)))
	case 9:
		s.server.Expand()
	case 10:
		s.server.Drain()
		after(upTo(r, 10*time.Millisecond))
		s.server.Resume()
	case 11:
		s.lose(r)
	case 12:
		ctx, cancel := context.WithTimeout(context.Background(), upTo(r, 20*time.Millisecond)+1)
		defer cancel()
		if n, err := s.server.Acquire(ctx, 1+r.IntN(3)); err == nil {
			s.sendRequest(r)
			s.server.Release(n)
		}
	}
}

func (s *stress) sendRequest(r *rand.Rand) {
	h := occamytest.RequestHeaders(kind, randomID(r))
	switch r.IntN(8) {
	case 0:
		h["Occamy-Timeout"] = (upTo(r, 80*time.Millisecond) + 1).String()
	case 1:
		h["Occamy-Deadline"] = time.Now().Add(upTo(r, 80*time.Millisecond)).Format(time.RFC3339Nano)
	case 2:
		h["Occamy-Outcome"] = true
	case 3:
		h["Occamy-Priority"] = r.IntN(4)
	case 4:
		h["Occamy-Priority"] = "wild"
	}
	m := &stressMessage{Delivery: occamytest.NewDelivery(h, nil)}
	wild := rand.New(rand.NewPCG(r.Uint64(), 0))
	var mu sync.Mutex
	chance := func(n int) bool { mu.Lock(); defer mu.Unlock(); return wild.IntN(n) == 0 }
	m.deaf = chance(30)
	if chance(3) {
		m.Wait = 30 * time.Millisecond
	}
	bad := func() error {
		if chance(20) {
			panic("wild")
		}
		if chance(5) {
			return errBroker
		}
		return nil
	}
	m.OnKeepAlive = func(context.Context, int) error {
		if chance(15) {
			m.lost.Store(true)
			return occamy.ErrDeliveryLost
		}
		if err := bad(); err != nil {
			m.lost.Store(true) // perhaps: several that fail end the lease
			return err
		}
		return nil
	}
	m.OnOutcome = func(context.Context, occamy.Outcome) error {
		if chance(10) {
			return occamy.ErrTooLarge
		}
		return bad()
	}
	m.OnSettle = func(context.Context, occamytest.Settlement, int) error {
		if m.deaf {
			return errBroker
		}
		return bad()
	}
	m.OnProgress = func(context.Context, []byte) error { return bad() }
	s.mu.Lock()
	s.requests = append(s.requests, m)
	s.mu.Unlock()
	s.server.HandleRequest(m)
}

func (s *stress) sendControl(h occamy.Headers) {
	m := occamytest.NewMessage(h, nil)
	s.mu.Lock()
	s.controls = append(s.controls, m)
	s.mu.Unlock()
	s.server.HandleControl(m)
}

func (s *stress) lose(r *rand.Rand) {
	s.mu.Lock()
	if len(s.requests) == 0 {
		s.mu.Unlock()
		return
	}
	m := s.requests[r.IntN(len(s.requests))]
	s.mu.Unlock()
	m.lost.Store(true)
	m.Lose()
}
