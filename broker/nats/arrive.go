package nats

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// dispatch takes what NATS delivers, in order, until quit.
func (p *pump) dispatch() {
	for {
		select {
		case m := <-p.arrivals:
			p.arrived(m)
		case <-p.quit:
			return
		}
	}
}

func (p *pump) arrived(raw *natsgo.Msg) {
	now := time.Now()
	if raw.Subject == provedSubject {
		p.proved(raw)
		return
	}
	p.mu.Lock()
	ib := p.bySub[raw.Sub]
	p.mu.Unlock()
	if ib == nil {
		return
	}
	if raw.Subject == drainedSubject {
		p.drained(ib)
		return
	}
	if raw.Reply == "" {
		p.status(ib, raw, now)
		return
	}
	m, err := newMessage(p.b, ib.queue, p.keys, raw, now, p.proof)
	if err != nil {
		p.b.cfg.OnError(err)
		return
	}
	p.took(ib, m.pending, now)
	p.deliver(m, raw)
}

// took counts a message that came.
func (p *pump) took(ib *inbox, pending int, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ib.heard = now
	ib.out = max(ib.out-1, 0)
	ib.lane.pending, ib.lane.looked, ib.lane.failures = pending, now, 0
	if len(p.lanes) > 1 || p.free > 0 {
		p.assign()
	}
}

// deliver hands a message to the intake, unless it is not to run: not yet, not
// any more, not here, or not by us.
func (p *pump) deliver(m *message, raw *natsgo.Msg) {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if m.lease.lost() != nil {
		// It was held up on its way until NATS gave it to somebody else.
		p.in.Release(1)
		return
	}
	if at, ok := notBefore(raw.Header); ok {
		if early := time.Until(at); early > 0 {
			p.aside("postpone", m, func(ctx context.Context) error { return m.nak(ctx, early) })
			return
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
		p.in.Release(1)
	}
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

// status takes a message of NATS itself about a pull.
func (p *pump) status(ib *inbox, raw *natsgo.Msg, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ib.heard = now
	code := first(raw.Header, "Status")
	switch code {
	case "100":
		return
	case "404", "408":
		back := pulledBy(raw.Subject)
		if text := first(raw.Header, "Nats-Pending-Messages"); text != "" {
			if n, err := strconv.Atoi(text); err == nil {
				back = n
			}
		}
		back = min(max(back, 0), ib.out)
		ib.out -= back
		if !ib.retired {
			ib.lane.pending, ib.lane.looked = 0, now
		}
		if ib.giveBack {
			p.in.Release(back)
			return
		}
		p.free += back
		p.assign()
	default:
		// The consumer was removed or changes its place: its pulls are void.
		if !ib.retired {
			p.b.link.setLast(fmt.Errorf("nats: pull %q: %s %s", ib.lane.kind, code, first(raw.Header, "Description")))
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
