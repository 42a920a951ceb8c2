package nats

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// releaseMost is how many promises are given back together.
const releaseMost = 16

// dispatch takes what NATS delivers, in order, until quit.
func (p *pump) dispatch() {
	over := 0 // promises that are with nobody any more
	release := func() {
		if over > 0 {
			p.in.Release(over)
			over = 0
		}
	}
	defer release()
	for {
		select {
		case m := <-p.arrivals:
			over += p.arrived(m)
			if over >= releaseMost || len(p.arrivals) == 0 {
				release()
			}
		case <-p.quit:
			return
		}
	}
}

// arrived returns how many promises are to be given back.
func (p *pump) arrived(raw *natsgo.Msg) int {
	now := time.Now()
	d, isRequest := parseDelivery(raw.Reply)
	p.mu.Lock()
	ib := p.bySub[raw.Sub]
	if ib == nil {
		p.mu.Unlock()
		return 0
	}
	if !isRequest {
		p.about(ib, raw, now)
		p.mu.Unlock()
		return 0
	}
	asked, ended := ib.since, p.ended
	p.took(ib, d.pending, now)
	p.mu.Unlock()

	if isStale(asked, now, ib.queue.ackWait) {
		p.b.cfg.OnError(fmt.Errorf("nats: a request of kind %q came up to %v late, and may be with another server by now: left to it", ib.queue.kind, gone(asked, now).Round(time.Millisecond)))
		return 1
	}
	m := newMessage(p, ib.queue, raw, d, leaseBegan(asked, now, d.stored, ib.queue.ackWait))
	return p.deliver(m, raw, ended)
}

// about takes what is no request. p.mu is held.
func (p *pump) about(ib *inbox, raw *natsgo.Msg, now time.Time) {
	switch {
	case raw.Subject == drainedSubject:
		p.drained(ib)
	case raw.Reply == "":
		p.status(ib, raw, now)
	}
}

// took counts a message that came. p.mu is held.
func (p *pump) took(ib *inbox, pending int, now time.Time) {
	ib.heard = now
	p.answered(ib, 1)
	ib.lane.pending, ib.lane.looked, ib.lane.failures = pending, now, 0
	ib.lane.unbounded = false
	if len(p.lanes) > 1 || p.free > 0 {
		p.assign()
	}
}

// answered: n promises that were pulled have come back. p.mu is held.
func (p *pump) answered(ib *inbox, n int) {
	ib.out = max(ib.out-n, 0)
	if ib.out == 0 && ib.aging {
		p.forget(ib)
	}
	p.hint()
}

// deliver hands a message to the intake, unless it is not to run: not yet, not
// any more, or not here. It returns how many promises are to be given back.
func (p *pump) deliver(m *message, raw *natsgo.Msg, ended bool) int {
	if at, ok := notBefore(raw.Header); ok {
		if early := time.Until(at); early > 0 {
			p.aside("postpone", m, func(ctx context.Context) error { return m.nak(ctx, early) })
			return 0
		}
	}
	switch {
	case m.crashes >= p.b.cfg.MaxDeliver:
		p.aside("bury", m, m.bury)
	case m.suspect():
		p.aside("set apart", m, m.setApart)
	case ended:
		p.aside("give back", m, func(ctx context.Context) error { return m.RequeueAfter(ctx, 0) })
	default:
		p.in.HandleRequest(m)
		return 1
	}
	return 0
}

// aside settles a message that the intake does not get.
func (p *pump) aside(what string, m *message, settle func(context.Context) error) {
	p.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), m.lease.left())
		defer cancel()
		if err := settle(ctx); err != nil {
			p.b.cfg.OnError(fmt.Errorf("%s %q: %w", what, m.id, err))
		}
		p.in.Release(1)
	})
}

// How NATS ends a pull that has a bound of bytes: the next message is too large
// for what is left of it, or all messages were delivered.
const (
	tooManyBytes = "Message Size Exceeds MaxBytes"
	allDelivered = "Batch Completed"
)

// status takes a message of NATS itself about a pull. p.mu is held.
func (p *pump) status(ib *inbox, raw *natsgo.Msg, now time.Time) {
	ib.heard = now
	code := first(raw.Header, "Status")
	why := first(raw.Header, "Description")
	full := code == "409" && why == tooManyBytes
	switch {
	case code == "100":
		return
	case code == "409" && why == allDelivered:
		return // a pull with a bound of bytes is told of
	case code == "404", code == "408", full:
		pulled := pulledBy(raw.Subject)
		back := pulled
		if text := first(raw.Header, "Nats-Pending-Messages"); text != "" {
			if n, err := strconv.Atoi(text); err == nil {
				back = n
			}
		}
		back = min(max(back, 0), ib.out)
		retired, giveBack := ib.retired, ib.giveBack
		p.answered(ib, back)
		switch {
		case retired:
		case full:
			ib.lane.unbounded = back == pulled
		default:
			ib.lane.pending, ib.lane.looked = 0, now
		}
		if giveBack {
			p.in.Release(back)
			return
		}
		p.free += back
		p.assign()
	default:
		// The consumer was removed or changes its place: its pulls are void.
		if !ib.retired {
			p.b.link.setLast(fmt.Errorf("nats: pull %q: %s %s", ib.lane.kind, code, why))
			p.faultLocked(ib.lane)
		}
	}
}

// pulledBy reads the batch of a pull from its reply subject.
func pulledBy(reply string) int {
	n, err := strconv.Atoi(reply[strings.LastIndexByte(reply, '_')+1:])
	if err != nil {
		return 0
	}
	return n
}
