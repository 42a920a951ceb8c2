package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/occamy-go/occamy/chaos/record"
)

// options say what a run is to be.
type options struct {
	broker   string
	requests int
	fault    string // alone; empty: all
	calm     bool   // no fault at all
	poison   int    // requests that kill their server process
	nodes    int    // of the broker
	servers  int
	slots    int
	lease    time.Duration
	limit    int
}

// deadline is how long a run may take.
func (o options) deadline(phases []phase) time.Duration {
	d := 90*time.Second + time.Duration(o.requests)*20*time.Millisecond
	for _, p := range phases {
		d += 3 * p.lasts
	}
	return d
}

// phase is a part of the run: its share of the requests, and what breaks
// meanwhile.
type phase struct {
	fault
	first, last int // requests, by number
}

func (o options) phases() ([]phase, error) {
	chosen := faults(o.lease)
	switch {
	case o.poison > 0:
		chosen = []fault{{"poison", time.Duration(o.limit+2) * (o.lease + time.Second), 0, nil}}
	case o.calm:
		chosen = []fault{{"", 5 * time.Second, 0, nil}}
	case o.fault != "":
		var names []string
		all := chosen
		chosen = nil
		for _, f := range all {
			names = append(names, f.name)
			if f.name == o.fault {
				chosen = []fault{f}
			}
		}
		if chosen == nil {
			return nil, fmt.Errorf("no fault %q; there are %v", o.fault, names)
		}
	}
	phases := make([]phase, len(chosen))
	for i, f := range chosen {
		phases[i] = phase{f, i*o.requests/len(chosen) + 1, (i + 1) * o.requests / len(chosen)}
	}
	return phases, nil
}

// run builds everything in dir, has the faults happen, and leaves the logs in
// dir/audit. It returns nil when all happened that was to happen, whatever
// became of the requests: that is the auditor's.
func run(ctx context.Context, o options, dir string, say io.Writer) (err error) {
	phases, err := o.phases()
	if err != nil {
		return err
	}
	var all closers
	defer all.close()

	logs := auditDir(dir)
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return err
	}
	log, err := record.Open(logs, "orchestrator")
	if err != nil {
		return err
	}
	all.add(func() { _ = log.Close() })
	told, err := record.Open(logs, "client")
	if err != nil {
		return err
	}
	all.add(func() { _ = told.Close() })
	log.Write(record.Event{What: record.Run, Broker: o.broker, Requests: o.requests + o.poison, Limit: o.limit})

	starting, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	w, s, err := build(starting, o, dir, log, told, &all)
	if err != nil {
		return err
	}
	fmt.Fprintf(say, "chaos: %d nodes of %s and %d servers are up\n", o.nodes, o.broker, o.servers)

	patience := o.deadline(phases)
	ctx, cancel = context.WithTimeoutCause(ctx, patience, fmt.Errorf("the run took longer than %v", patience))
	defer cancel()
	err = act(ctx, phases, o, w, s, say)
	if err == nil {
		err = context.Cause(ctx) // too late
	}
	if err != nil {
		log.Write(record.Event{What: record.Failed, Error: err.Error()})
	}
	return err
}

func auditDir(dir string) string { return filepath.Join(dir, "audit") }

// build starts the broker, the wires, the servers and the client.
func build(ctx context.Context, o options, dir string, log, told *record.Log, all *closers) (*world, *submitter, error) {
	c, err := startCluster(ctx, o, dir)
	if err != nil {
		return nil, nil, err
	}
	all.add(c.Close)
	wires, err := newWires(o.servers, c.Hosts())
	if err != nil {
		return nil, nil, err
	}
	all.add(func() { _ = wires.close() })

	problem := func(err error) { told.Write(record.Event{What: record.Problem, Error: err.Error()}) }
	b, err := c.Order(wires.hosts[wires.client]).open(ctx, problem)
	if err != nil {
		return nil, nil, err
	}
	all.add(func() { _ = b.Close() })

	orders := make([]serverOrder, o.servers)
	for i := range orders {
		orders[i] = serverOrder{Name: serverName(i), Dir: auditDir(dir), Slots: o.slots, Broker: c.Order(wires.hosts[i])}
	}
	fleet, err := startFleet(log, orders, dir)
	if err != nil {
		return nil, nil, err
	}
	all.add(fleet.close)
	err = until(ctx, "all servers are up", func() (bool, error) {
		up, err := b.Servers(ctx, 500*time.Millisecond)
		return len(up) == o.servers, errors.Join(err, fmt.Errorf("%d of %d", len(up), o.servers))
	})
	if err != nil {
		return nil, nil, err
	}
	w := &world{cluster: c, wires: wires, fleet: fleet, log: log, watch: newBusyWatch(auditDir(dir)), lease: o.lease}
	return w, newSubmitter(b, log, told), nil
}

// act sends the requests, phase by phase, has the faults happen, and waits for
// the outcomes.
func act(ctx context.Context, phases []phase, o options, w *world, s *submitter, say io.Writer) error {
	var ids []string
	send := func(n int, lasts bool) error {
		r := newRequest(n, lasts)
		if every := max(o.requests/max(o.poison, 1), 1); o.poison > 0 && n%every == every/2 {
			bad := r
			bad.id, bad.input.Poison = "poison-"+r.id, true
			ids = append(ids, bad.id)
			if err := s.send(ctx, bad); err != nil {
				return err
			}
		}
		ids = append(ids, r.id)
		return s.send(ctx, r)
	}
	for _, p := range phases {
		fmt.Fprintf(say, "chaos: %s: requests %d to %d; %d open\n", p.name, p.first, p.last, s.open.Load())
		if err := p.act(ctx, w, send); err != nil {
			return err
		}
	}
	s.waiting.Wait()
	fmt.Fprintf(say, "chaos: all is over; %d of %d sent\n", len(ids), o.requests+o.poison)
	w.fleet.close()
	looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute+time.Duration(len(ids))*10*time.Millisecond) // even when the time is up
	defer cancel()
	return errors.Join(w.fleet.err, s.sweep(looking, ids), s.buried(looking))
}

// act sends the requests of the phase and has its fault happen meanwhile. A
// few go first, so that it finds work; some go together, when it is about to
// strike; and what is left when it is over goes quickly.
func (p phase) act(ctx context.Context, w *world, send func(n int, lasts bool) error) error {
	q := queue{next: p.first, last: p.last, send: send}
	w.blows.Store(int64(p.blows))
	share := p.last - p.first + 1
	early := min(share/4, 40)
	kept := keptBack(share-early, p.blows)
	w.short = share-early < 4*enough*(p.blows+1)
	w.burst = func(ctx context.Context, n int) error {
		return q.burst(ctx, min(n, q.left()-kept*int(w.blows.Load())), w.short)
	}
	if err := q.burst(ctx, early, false); err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() { over <- p.strike(ctx, w) }()
	every := float64(p.lasts) * 1.2 / float64(max(q.left()-kept*p.blows, 1))
	ended := false
	for q.left() > 0 {
		select {
		case struck := <-over:
			over <- struck
			every, ended = min(every, float64(afterwards)), true
		default:
		}
		if !ended && q.left() <= kept*int(w.blows.Load()) {
			if err := pause(ctx, afterwards); err != nil {
				return err
			}
			continue
		}
		if err := q.burst(ctx, 1, false); err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(every*rand.ExpFloat64())); err != nil {
			return err
		}
	}
	return <-over
}

// afterwards is the pace at which the rest of a phase is sent.
const afterwards = 8 * time.Millisecond

// keptBack is how many requests are kept back for each blow of a fault: enough,
// or in a short run what there is.
func keptBack(left, blows int) int {
	return max(min(left/(blows+1), enough), 1)
}

// enough requests for one blow are ten: any server gets some.
const enough = 10

// queue has the requests of a phase that are still to be sent.
type queue struct {
	mu         sync.Mutex
	next, last int
	send       func(n int, lasts bool) error
}

func (q *queue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last - q.next + 1
}

// burst sends up to n of them. Those that last are at work for long enough to be
// seen there, where there are not many.
func (q *queue) burst(ctx context.Context, n int, last bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; n > 0 && q.next <= q.last; n-- {
		if err := q.send(q.next, last); err != nil {
			return err
		}
		q.next++
	}
	return context.Cause(ctx)
}

func (p phase) strike(ctx context.Context, w *world) error {
	if p.run == nil {
		return nil
	}
	return p.run(ctx, w)
}

// buried writes down what the dead letters are.
func (s *submitter) buried(ctx context.Context) error {
	letters, err := s.broker.DeadLetters(ctx, 0)
	for _, l := range letters {
		s.log.Write(record.Event{What: record.Dead, ID: l.ID, Attempt: l.Attempts, Error: l.Reason})
	}
	return err
}
