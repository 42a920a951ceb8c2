package nats

import (
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// An inbox receives what was pulled for a lane. When promises are to be taken
// back it is drained: the subscription ends, which ends its pulls, and what is
// on its way still comes.
type inbox struct {
	lane     *lane
	queue    queue // does not change
	sub      *natsgo.Subscription
	prefix   string
	out      int // promises pulled and not answered
	next     uint64
	since    time.Time // when out was last zero
	heard    time.Time
	deadline time.Time // by then all pulls have ended
	silent   bool      // no heartbeats: only short pulls so far
	probing  bool      // the last pull comes back at once
	retired  bool
	giveBack bool // its promises go back to the intake
}

// pull asks NATS for n messages of a lane, within the limits of its consumer.
func (p *pump) pull(l *lane, n int, expires time.Duration, noWait bool) {
	if limit := l.queue.maxWait; limit > 0 {
		expires = min(expires, limit)
	}
	for n > 0 {
		some := n
		if limit := l.queue.maxBatch; limit > 0 {
			some = min(some, limit)
		}
		if !p.pullOnce(l, some, expires, noWait) {
			return
		}
		n -= some
	}
}

// pullOnce reports whether it could ask.
func (p *pump) pullOnce(l *lane, n int, expires time.Duration, noWait bool) bool {
	now := time.Now()
	if l.inbox == nil {
		if err := p.openInbox(l, now); err != nil {
			p.b.cfg.OnError(fmt.Errorf("nats: consume %q: %w", l.kind, err))
			p.faultLocked(l)
			return false
		}
	}
	ib := l.inbox
	if ib.out == 0 {
		ib.since, ib.deadline, ib.silent = now, now, true
	}
	ib.probing = noWait
	ib.next++
	body := make([]byte, 0, 96)
	body = append(body, `{"batch":`...)
	body = strconv.AppendInt(body, int64(n), 10)
	switch {
	case noWait:
		body = append(body, `,"no_wait":true`...)
	default:
		body = append(body, `,"expires":`...)
		body = strconv.AppendInt(body, int64(expires), 10)
		if expires >= 2*p.timing.heartbeat {
			if ib.silent {
				ib.silent, ib.heard = false, now
			}
			body = append(body, `,"idle_heartbeat":`...)
			body = strconv.AppendInt(body, int64(p.timing.heartbeat), 10)
		}
	}
	body = append(body, '}')
	reply := ib.prefix + strconv.FormatUint(ib.next, 36) + "_" + strconv.Itoa(n)
	if err := p.b.nc.PublishRequest(l.queue.pull, reply, body); err != nil {
		return false // not connected: the promises stay free until there is a new connection
	}
	if end := now.Add(expires); end.After(ib.deadline) {
		ib.deadline = end
	}
	p.free -= n
	ib.out += n
	l.looked = now
	return true
}

func (p *pump) openInbox(l *lane, now time.Time) error {
	prefix := p.b.nc.NewInbox() + "."
	sub, err := p.b.nc.ChanSubscribe(prefix+"*", p.arrivals)
	if err != nil {
		return err
	}
	l.inbox = &inbox{lane: l, queue: l.queue, sub: sub, prefix: prefix, since: now, heard: now}
	p.bySub[sub] = l.inbox
	return nil
}

// retire takes back what a lane has pulled. The promises are free when the
// inbox has been drained.
func (p *pump) retire(l *lane) {
	ib := l.inbox
	if ib == nil {
		return
	}
	l.inbox, ib.retired = nil, true
	p.retiring++
	// The mark follows the last message of the inbox into the same channel.
	mark := func(string) { go p.mark(ib) }
	ib.sub.SetClosedHandler(mark)
	if !p.b.nc.IsConnected() || ib.sub.Drain() != nil {
		ib.sub.SetClosedHandler(nil)
		_ = ib.sub.Unsubscribe() // nothing comes any more
		go p.mark(ib)
	}
}

func (p *pump) mark(ib *inbox) {
	select {
	case p.arrivals <- &natsgo.Msg{Sub: ib.sub, Subject: drainedSubject}:
	case <-p.quit:
	}
}

// drainedSubject cannot come from NATS: it has a space.
const drainedSubject = "inbox drained"

func (p *pump) drained(ib *inbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bySub[ib.sub] == nil {
		return
	}
	delete(p.bySub, ib.sub)
	p.retiring--
	n := max(ib.out, 0)
	ib.out = 0
	if ib.giveBack || p.ended {
		if n > 0 {
			p.in.Release(n)
		}
	} else {
		p.free += n
		p.assign()
	}
	if p.ended && p.retiring == 0 {
		close(p.quiet)
	}
}
