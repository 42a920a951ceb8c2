package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/occamy-go/occamy/chaos/record"
)

// fault is a way in which things break.
type fault struct {
	name  string
	lasts time.Duration // about; requests are sent all the while
	blows int           // how often it strikes
	run   func(ctx context.Context, w *world) error
}

// faults are all that a run injects, in this order. lease is how long a server
// process may be silent before its requests are given to others.
func faults(lease time.Duration) []fault {
	return []fault{
		{"connection_cut", 7 * time.Second, 4, cutConnections},
		{"connection_stalled", 8*time.Second + lease, 2, stallConnections},
		{"connection_half_open", 10 * time.Second, 2, halfOpenConnections},
		{"slow_link", 5 * time.Second, 1, slowLinks},
		{"server_killed", 6 * time.Second, 3, killServers},
		{"server_stopped", 5*time.Second + lease, 1, stopServer},
		{"server_shutdown", 5 * time.Second, 3, shutDownServers},
		{"client_cut", 4 * time.Second, 0, cutClient},
		{"broker_restarted", 8 * time.Second, 1, restartNode},
		{"leader_killed", 10 * time.Second, 1, killLeader},
	}
}

// world is all that a fault may hurt.
type world struct {
	cluster cluster
	wires   *wires
	fleet   *fleet
	log     *record.Log
	watch   *busyWatch
	burst   func(ctx context.Context, n int) error // sends so many requests of the phase, if there are
	lease   time.Duration
	short   bool // few requests for each blow
	number  atomic.Int64
	blows   atomic.Int64 // that are still to come in this phase
}

// hits is what a fault concerns.
type hits struct {
	ends []int  // whose process or connection is hit; the client is the last
	node string // of the broker
}

// strike writes down that f, a fault, begins, and when it is over.
func (w *world) strike(name string, h hits, f func() error) error {
	e := record.Event{Fault: name, Number: int(w.number.Add(1)), Node: h.node}
	for _, end := range h.ends {
		if end == w.wires.client {
			e.Client = true
			continue
		}
		e.Servers = append(e.Servers, serverName(end))
	}
	e.What = record.FaultBegin
	w.log.Write(e)
	err := f()
	e.What = record.FaultEnd
	w.log.Write(e)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// busy returns once one of some servers runs requests, and sees to it that there
// are some: the auditor does not accept a blow that hit nothing. It is called
// once before each.
func (w *world) busy(ctx context.Context, servers ...int) (found int, err error) {
	w.blows.Add(-1)
	many, together := 2, 5
	if w.short {
		many, together = 1, 1
	}
	began := time.Now()
	for try := 0; time.Since(began) < 10*time.Second; try++ {
		if time.Since(began) > time.Second {
			many = 1 // short requests, or few of them
		}
		for _, i := range servers {
			if w.watch.running(w.fleet.server(i)) >= many {
				return i, nil
			}
		}
		if try%(20*together) == 0 {
			if err := w.burst(ctx, together); err != nil {
				return 0, err
			}
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return servers[0], nil
}

func (w *world) servers() []int {
	all := make([]int, w.wires.client)
	for i := range all {
		all[i] = i
	}
	return all
}

// each strikes servers one after the other, while they are busy. In a short run,
// which has not work for all at any time, it strikes the one that has some.
func (w *world) each(ctx context.Context, name string, servers []int, f func(server int) error) error {
	for n := range servers {
		victims := servers[n : n+1]
		if w.short {
			victims = servers
		}
		i, err := w.busy(ctx, victims...)
		if err != nil {
			return err
		}
		if err := w.strike(name, hits{ends: []int{i}}, func() error { return f(i) }); err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// killServers ends server processes at once: one after the other, and then two
// together.
func killServers(ctx context.Context, w *world) error {
	kill := func(i int) error { return w.fleet.server(i).kill() }
	if err := w.each(ctx, "server_killed", w.servers()[1:], kill); err != nil {
		return err
	}
	if _, err := w.busy(ctx, 0, 1); err != nil {
		return err
	}
	return w.strike("server_killed", hits{ends: []int{0, 1}}, func() error {
		if err := kill(0); err != nil {
			return err
		}
		return kill(1)
	})
}

// stopServer makes a server process stand still until others have its
// requests, and then go on as if nothing had been.
func stopServer(ctx context.Context, w *world) error {
	return w.each(ctx, "server_stopped", w.servers()[:1], func(i int) error {
		c := w.fleet.server(i)
		if err := c.signal(syscall.SIGSTOP); err != nil {
			return err
		}
		if err := pause(ctx, w.lease+3*time.Second); err != nil {
			return err
		}
		return c.signal(syscall.SIGCONT)
	})
}

// shutDownServers ends server processes in order: they hand over what they do
// not finish.
func shutDownServers(ctx context.Context, w *world) error {
	return w.each(ctx, "server_shutdown", w.servers(), func(i int) error {
		return w.fleet.server(i).stop(30 * time.Second)
	})
}

// serversAt are the servers that are connected to a broker node.
func (w *world) serversAt(node int) []int {
	return slices.DeleteFunc(w.wires.used(node), func(end int) bool { return end == w.wires.client })
}

// restartNode ends a broker node in order and starts it again: one that servers
// are connected to, and that does not lead, if there is such a one.
func restartNode(ctx context.Context, w *world) error {
	leaders, err := w.cluster.Leaders(ctx)
	if err != nil {
		return err
	}
	node, best := 0, -1
	for i := range w.cluster.Hosts() {
		worth := 0
		if i != leaders[0] {
			worth++
		}
		if !slices.Contains(leaders, i) {
			worth++
		}
		if len(w.serversAt(i)) > 0 {
			worth += 2
		}
		if worth > best {
			node, best = i, worth
		}
	}
	return w.strikeNode(ctx, "broker_restarted", node, leaders, func(node int) error {
		if err := w.cluster.Stop(ctx, node); err != nil {
			return err
		}
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
		return w.cluster.Start(ctx, node)
	})
}

// killLeader ends the node that leads the queue of the requests, at once, and
// brings it back.
func killLeader(ctx context.Context, w *world) error {
	leaders, err := w.cluster.Leaders(ctx)
	if err != nil {
		return err
	}
	return w.strikeNode(ctx, "leader_killed", leaders[0], leaders, func(node int) error {
		if err := w.cluster.Kill(ctx, node); err != nil {
			return err
		}
		if err := pause(ctx, 3*time.Second); err != nil {
			return err
		}
		return w.cluster.Start(ctx, node)
	})
}

// strikeNode hits a broker node: that concerns who is connected to it, and
// everybody when it leads the queue. It is over when the cluster is whole.
func (w *world) strikeNode(ctx context.Context, name string, node int, leaders []int, f func(node int) error) error {
	concerned := w.serversAt(node)
	if slices.Contains(leaders, node) || len(concerned) == 0 {
		concerned = w.servers()
	}
	if _, err := w.busy(ctx, concerned...); err != nil {
		return err
	}
	h := hits{ends: w.wires.used(node), node: nodeName(node)}
	if slices.Contains(leaders, node) {
		h.ends = append(w.servers(), w.wires.client)
	}
	return w.strike(name, h, func() error {
		if err := f(node); err != nil {
			return err
		}
		return w.cluster.Whole(ctx)
	})
}
