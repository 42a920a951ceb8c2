package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

// cutConnections resets the connections of each server, and then those of all
// together.
func cutConnections(ctx context.Context, w *world) error {
	err := w.each(ctx, "connection_cut", w.servers(), func(i int) error {
		return reset(ctx, w.wires.of(i), 500*time.Millisecond)
	})
	if err != nil {
		return err
	}
	if _, err := w.busy(ctx, w.servers()...); err != nil {
		return err
	}
	return w.strike("connection_cut", hits{ends: w.servers()}, func() error {
		return reset(ctx, w.wires.of(w.servers()...), 500*time.Millisecond)
	})
}

// cutClient resets the client's connections while it submits, several times.
func cutClient(ctx context.Context, w *world) error {
	return w.strike("client_cut", hits{ends: []int{w.wires.client}}, func() error {
		for range 4 {
			if err := reset(ctx, w.wires.of(w.wires.client), 300*time.Millisecond); err != nil {
				return err
			}
			if err := pause(ctx, 500*time.Millisecond); err != nil {
				return err
			}
		}
		return nil
	})
}

// stallConnections holds all bytes of a server's connections, in both
// directions, and then lets them go: of one server for a while, of another for
// longer than its lease.
func stallConnections(ctx context.Context, w *world) error {
	held := 2500 * time.Millisecond
	return w.each(ctx, "connection_stalled", w.servers()[:2], func(i int) error {
		heal, err := hurt(w.wires.of(i), "hold", `{}`, up, down)
		if err == nil {
			err = pause(ctx, held)
		}
		held = w.lease + 2*time.Second
		return errors.Join(err, heal())
	})
}

// halfOpenConnections swallows what is sent in one direction over the
// connections that a server has, and leaves them open until it has found that
// out by itself.
func halfOpenConnections(ctx context.Context, w *world) error {
	directions := []string{down, up}
	return w.each(ctx, "connection_half_open", w.servers()[1:], func(i int) error {
		direction := directions[i%2]
		begun := time.Now()
		all := w.wires.of(i)
		dead := inUse(all, begun.Add(-quiet))
		if len(dead) == len(all) {
			dead = dead[1:] // there must be another way
		}
		heal, err := hurt(dead, "timeout", `{"timeout":0}`, direction)
		if err == nil {
			waiting, cancel := context.WithTimeout(ctx, w.lease+30*time.Second)
			defer cancel()
			err = until(waiting, "the server connects anew", func() (bool, error) {
				return slices.ContainsFunc(all, func(one *wire) bool {
					return !slices.Contains(dead, one) && one.relay.openedSince(begun)
				}), nil
			})
		}
		return errors.Join(err, heal())
	})
}

// slowLinks makes all ways long and narrow.
func slowLinks(ctx context.Context, w *world) error {
	all := append(w.servers(), w.wires.client)
	if _, err := w.busy(ctx, w.servers()...); err != nil {
		return err
	}
	return w.strike("slow_link", hits{ends: all}, func() error {
		wires := w.wires.of(all...)
		wide, err1 := hurt(wires, "latency", `{"latency":60,"jitter":40}`, up, down)
		narrow, err2 := hurt(wires, "bandwidth", `{"rate":256}`, up, down)
		err3 := pause(ctx, 5*time.Second)
		return errors.Join(err1, err2, err3, narrow(), wide())
	})
}
