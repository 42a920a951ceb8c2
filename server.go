package occamy

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy/internal/slots"
)

// Server runs the tasks of requests in its slots and lets spare slots help
// them. Make one with [New]. Its methods are safe for use by several
// goroutines. A server that is idle has neither a
// goroutine nor a running timer.
type Server struct {
	cfg   Config
	info  Info
	start time.Time

	mu          sync.Mutex
	table       *slots.Table  // guarded by mu; no user code runs under it
	now         time.Duration // of the table's last step; guarded by mu
	jobs        []*job        // by Ref.Index; guarded by mu
	offered     map[any]bool  // tasks from Expand that the table knows; guarded by mu
	waiters     []*waiter     // who waits in Acquire; guarded by mu
	withdrawn   chan struct{}
	draining    bool
	preemptions uint64
	inboxDrops  uint64

	slotTime      SlotTime      // of the tasks that have ended; guarded by mu
	preemptedTime time.Duration // guarded by mu

	refusals  int           // in a row; guarded by mu
	expansion alarm         // guarded by mu
	refill    alarm         // guarded by mu
	closing   bool          // guarded by mu
	closed    chan struct{} // closed when closing begins
	done      chan struct{} // closed when Shutdown is over
	doneOnce  sync.Once
	quiet     chan struct{} // closed and made anew when something ends while closing
	unsettled int           // request messages taken and neither settled nor given up
	telling   int           // calls of Settled

	handlers     expiry // handlers that run; guarded by mu, as the next three
	kills        expiry // tasks that were stopped
	asks         expiry // calls of Expand
	settles      expiry // messages that are being settled, then calls of Settled
	workers      workers
	young        youngLeases
	spareWaiters sync.Pool
	batches      sync.Pool

	optional optionalQueue
	acks     ackQueue
	watch    watchList
	events   monitorQueue
}

// New makes a server. Its slots are empty until it gets messages, from Serve or
// by its Handle methods. The error lists every problem of the config. Call
// Shutdown when the server is no longer needed.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.ID == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "server"
		}
		cfg.ID = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:6])
	}
	kinds := slices.Sorted(slices.Values(cfg.Kinds))
	s := &Server{
		cfg:   cfg,
		info:  Info{ID: cfg.ID, Kinds: kinds, Slots: cfg.Slots, Keys: cfg.Headers},
		start: time.Now(),
		table: slots.New(slots.Config{
			Slots:           cfg.Slots,
			Headroom:        cfg.Headroom,
			MaxHeadroom:     cfg.MaxHeadroom,
			HeadroomMemory:  cfg.HeadroomMemory,
			RebalanceMoves:  cfg.RebalanceMoves,
			ExpansionPeriod: cfg.ExpansionPeriod,
			RefillDelay:     cfg.RefillDelay,
			CancelMemory:    cfg.CancelMemory,
			MaxCancelled:    cfg.MaxCancelled,
			MaxBacklog:      cfg.MaxBacklog,
			MaxBacklogBytes: cfg.MaxBacklogBytes,
		}),
		withdrawn: make(chan struct{}),
		closed:    make(chan struct{}),
		done:      make(chan struct{}),
		quiet:     make(chan struct{}),
	}
	s.handlers = expiry{server: s, which: inHandler, wait: cfg.HandlerTimeout, expired: s.handlerExpired}
	s.kills = expiry{server: s, which: inKill, wait: cfg.KillTimeout, expired: s.stopExpired}
	s.asks = expiry{server: s, which: inExpand, wait: cfg.ExpandTimeout, expired: s.askExpired}
	s.settles = expiry{server: s, which: inSettle, wait: cfg.SettleTimeout, expired: s.settleExpired}
	s.expansion.ring = s.alarmed(&s.expansion, func() { s.tell(slots.ExpansionDue) })
	s.refill.ring = s.alarmed(&s.refill, func() { s.tell(slots.RefillDue) })
	s.spareWaiters.New = func() any { return &waiter{given: make(chan int, 1)} }
	s.batches.New = func() any { return new(batch) }
	s.optional.server = s
	return s, nil
}

// Info describes the server.
func (s *Server) Info() Info { return s.info }

// Serve takes messages from a source until ctx ends or Shutdown is over, and
// returns nil then, or the error that the source cannot overcome. (While
// Shutdown waits for tasks, control messages still reach them.) When ctx ends,
// tasks go on: Shutdown ends them. Serve may be called for several sources. It
// returns ErrServerClosed at once after Shutdown has begun.
func (s *Server) Serve(ctx context.Context, source Source) error {
	select {
	case <-s.closed:
		return ErrServerClosed
	default:
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.done:
			cancel(ErrServerClosed)
		case <-ctx.Done():
		}
	}()
	if err := source.Consume(ctx, s); err != nil && ctx.Err() == nil {
		return fmt.Errorf("occamy: consume: %w", err)
	}
	return nil
}

// HandleRequest takes a request message and returns at once; from now on the
// server settles it. A message beyond the capacity is held, and requeued when
// too many are; after Shutdown it is requeued, never run.
func (s *Server) HandleRequest(m Message) {
	j := s.newJob(m)
	j.status = Protected
	s.step(s.batch(slots.Arrive, j))
	s.watchDelivery(j)
}

// Expand runs expansion now, whatever the ExpansionPeriod.
func (s *Server) Expand() {
	s.tell(slots.ExpandNow)
}

// Drain stops the intake: no requests are taken and nothing is started from
// the backlog until Resume. Running tasks go on and still expand.
func (s *Server) Drain() { s.setDraining(true, slots.Drain) }

// Resume ends Drain.
func (s *Server) Resume() { s.setDraining(false, slots.Resume) }

func (s *Server) setDraining(on bool, t slots.EventType) {
	b := s.batch(t, nil)
	b.now = time.Since(s.start)
	s.mu.Lock()
	if on != s.draining && !s.closing {
		s.draining = on
		if on {
			close(s.withdrawn)
		} else {
			s.withdrawn = make(chan struct{})
		}
	}
	s.decide(b)
	s.mu.Unlock()
	s.carryOut(b)
}

// Snapshot returns what the server is doing. It takes time in proportion to
// the number of slots.
func (s *Server) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.table.Counts()
	now := time.Since(s.start)
	snap := Snapshot{
		Server: s.cfg.ID, Time: s.start.Add(now), Started: s.start, Kinds: slices.Clone(s.info.Kinds),
		Slots:      make([]SlotInfo, s.cfg.Slots),
		Converting: c.Converting, Waiting: c.Waiting, Held: c.Held, Backlog: c.Backlog,
		Capacity: s.table.Capacity(), Headroom: s.table.Headroom(max(s.now, now)),
		Draining: s.draining, Closing: s.closing,
		SlotTime: s.slotTime, PreemptedTime: s.preemptedTime,
		Preemptions: s.preemptions, InboxDrops: s.inboxDrops, MonitorDrops: s.events.dropped(),
	}
	for i := range snap.Slots {
		snap.Slots[i] = s.slotInfo(i)
		if since := snap.Slots[i].Since; !since.IsZero() {
			snap.SlotTime.add(snap.Slots[i].Status, max(snap.Time.Sub(since), 0))
		}
	}
	return snap
}

func (s *Server) slotInfo(i int) SlotInfo {
	t := s.table.Slot(i)
	if t.Status == slots.Empty {
		return SlotInfo{Slot: i, Status: Empty}
	}
	j := s.jobs[t.Ref.Index()]
	info := SlotInfo{
		Slot: i, Status: statusOf(t.Status), Phase: Running,
		ID: j.details.ID, Kind: j.details.Kind, Owner: j.owner.details.ID, Request: j.request(),
		Fraction: j.doneFraction(), Priority: t.Priority, Attempt: j.attempt, Since: s.start.Add(j.placed),
	}
	switch t.Phase {
	case slots.Stopping:
		info.Phase = Stopping
	case slots.Stuck:
		info.Phase = Stuck
	}
	return info
}
