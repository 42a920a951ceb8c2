package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wires are the connections of the server processes and of the client to the
// broker nodes, one wire for each pair of them, so that each can be hurt alone.
type wires struct {
	hosts  [][]string // of each end, the addresses that stand for the nodes
	byEnd  [][]*wire
	client int // the end that is not a server
}

// wire is the way from one process to one broker node.
type wire struct {
	proxy *toxiproxy.Proxy
	relay *relay
	node  int
}

func newWires(servers int, nodes []string) (*wires, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled)
	registerHold()
	toxi := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wires{client: servers}
	for end := range servers + 1 {
		var row []*wire
		var hosts []string
		for i, node := range nodes {
			r, err := newRelay(node)
			if err != nil {
				return nil, errors.Join(err, w.close())
			}
			p := toxiproxy.NewProxy(toxi, fmt.Sprintf("%d-%d", end, i), host+":0", r.listener.Addr().String())
			one := &wire{proxy: p, relay: r, node: i}
			if err := one.start(); err != nil {
				r.close()
				return nil, errors.Join(err, w.close())
			}
			row, hosts = append(row, one), append(hosts, p.Listen)
		}
		w.byEnd, w.hosts = append(w.byEnd, row), append(w.hosts, hosts)
	}
	return w, nil
}

func (w *wires) close() error {
	for _, row := range w.byEnd {
		for _, one := range row {
			one.proxy.Stop()
			one.relay.close()
		}
	}
	return nil
}

// of returns the wires of some ends.
func (w *wires) of(ends ...int) []*wire {
	var all []*wire
	for _, end := range ends {
		all = append(all, w.byEnd[end]...)
	}
	return all
}

// quiet is how long a connection may be without traffic: two heartbeats of a
// broker.
const quiet = 2500 * time.Millisecond

// used are the ends that are connected to a node now.
func (w *wires) used(node int) []int {
	var ends []int
	for end, row := range w.byEnd {
		if row[node].relay.heardSince(time.Now().Add(-quiet)) {
			ends = append(ends, end)
		}
	}
	return ends
}

// inUse are those of some wires over which something has travelled since then.
func inUse(all []*wire, since time.Time) []*wire {
	var used []*wire
	for _, one := range all {
		if one.relay.heardSince(since) {
			used = append(used, one)
		}
	}
	return used
}

// Both directions of a wire, seen from the process.
const (
	up   = "upstream"
	down = "downstream"
)

// start begins with a reset that sleeps: a connection must know from its
// beginning that it will end with one.
func (w *wire) start() error {
	if err := w.proxy.Start(); err != nil {
		return err
	}
	for _, direction := range []string{up, down} {
		if err := w.add("reset_peer", direction, 0, "{}"); err != nil {
			return err
		}
	}
	return nil
}

func (w *wire) add(toxic, direction string, toxicity int, attributes string) error {
	text := fmt.Sprintf(`{"type":%q,"stream":%q,"toxicity":%d,"attributes":%s}`, toxic, direction, toxicity, attributes)
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		return fmt.Errorf("%s on %s: %w", toxic, w.proxy.Name, err)
	}
	return nil
}

// hurt adds a toxic to wires; the returned function takes it away, of all
// wires at the same time: what a wire has held has to flow off first.
func hurt(all []*wire, toxic, attributes string, directions ...string) (heal func() error, err error) {
	heal = func() error {
		errs := make([]error, len(all))
		var healing sync.WaitGroup
		for i, w := range all {
			healing.Go(func() {
				for _, direction := range directions {
					errs[i] = errors.Join(errs[i], w.proxy.Toxics.RemoveToxic(context.Background(), toxic+"_"+direction))
				}
			})
		}
		healing.Wait()
		return errors.Join(errs...)
	}
	for _, w := range all {
		for _, direction := range directions {
			if err := w.add(toxic, direction, 1, attributes); err != nil {
				return heal, err
			}
		}
	}
	return heal, nil
}

// reset ends the connections of wires with a TCP reset, as soon as something
// travels over them, and those that are made within d.
func reset(ctx context.Context, all []*wire, d time.Duration) error {
	set := func(toxicity int) error {
		var errs []error
		for _, w := range all {
			for _, direction := range []string{up, down} {
				_, err := w.proxy.Toxics.UpdateToxicJson("reset_peer_"+direction,
					strings.NewReader(fmt.Sprintf(`{"toxicity":%d,"attributes":{}}`, toxicity)))
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	err := set(1)
	return errors.Join(err, pause(ctx, d), set(0))
}

// pause returns after d, or why ctx ended before that.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
