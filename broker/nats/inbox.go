package nats

import (
	"fmt"
	"slices"
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
	silent   bool      // no heartbeats are to come
	brief    bool      // only short pulls so far
	aging    bool      // what was pulled may still come; nothing more is pulled
	probing  bool      // the last pull comes back at once
	retired  bool
	giveBack bool // its promises go back to the intake
}

// pull asks NATS for n messages of a lane, within the limits of its consumer.
func (p *pump) pull(l *lane, n int, expires time.Duration, noWait bool) {
	expires = min(expires, p.life(l))
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

// life is how long a pull of a lane is open at most: so long that an idle server
// costs nothing, and not longer than a part of the lease, so that the age of a
// delivery is known from that of its pull.
func (p *pump) life(l *lane) time.Duration {
	d := min(p.timing.expires, l.queue.ackWait/4)
	if limit := l.queue.maxWait; limit > 0 {
		d = min(d, limit)
	}
	return d
}

// useful is how long a lane pulls with one inbox that is never empty: so that no
// miscount lasts, and the age of what comes is known. With a pull's life it
// makes less than isStale allows, by an eighth of the lease.
func (p *pump) useful(l *lane) time.Duration {
	return min(p.timing.rotate, l.queue.ackWait/8)
}

// pullOnce reports whether it could ask.
func (p *pump) pullOnce(l *lane, n int, expires time.Duration, noWait bool) bool {
	now := time.Now()
	if ib := l.inbox; ib != nil && ib.out > 0 && now.Sub(ib.since) > p.useful(l) {
		p.turnOver(l)
	}
	if l.inbox == nil {
		if err := p.openInbox(l, now); err != nil {
			p.b.cfg.OnError(fmt.Errorf("nats: consume %q: %w", l.kind, err))
			p.faultLocked(l)
			return false
		}
	}
	ib := l.inbox
	if ib.out == 0 {
		ib.since, ib.deadline, ib.silent, ib.brief = now, now, true, true
	}
	ib.probing = noWait
	ib.next++
	body := make([]byte, 0, 96)
	body = append(body, `{"batch":`...)
	body = strconv.AppendInt(body, int64(n), 10)
	if most := p.pullBytes(l, n); most > 0 {
		body = append(body, `,"max_bytes":`...)
		body = strconv.AppendInt(body, most, 10)
	}
	switch {
	case noWait:
		body = append(body, `,"no_wait":true`...)
	default:
		body = append(body, `,"expires":`...)
		body = strconv.AppendInt(body, int64(expires), 10)
		if expires >= p.life(l) {
			ib.brief = false
		}
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

// waiting is how many bytes the pulls of all lanes may have wait for the
// connection, where one message is not larger than its lane's part.
const waiting = 32 << 20

// pullBytes is how many bytes a pull of n messages may bring, 0 for any number:
// NATS cuts the connection of a client for which too much waits (max_pending,
// 64 MB by default), as large requests for many slots would. The largest
// message fits, or else did not when it was tried (see status).
func (p *pump) pullBytes(l *lane, n int) int64 {
	largest := p.b.nc.MaxPayload()
	most := max(waiting/int64(len(p.lanes)), largest+1<<20)
	if limit := int64(l.queue.maxBytes); l.unbounded || limit > 0 && limit < most || int64(n)*largest <= most {
		return 0
	}
	return most
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

// turnOver has a lane pull with a new inbox. What the old one has pulled may
// still come to it, for as long as its pulls last.
func (p *pump) turnOver(l *lane) {
	ib := l.inbox
	l.inbox, ib.aging = nil, true
	l.aging = append(l.aging, ib)
}

// forget ends an inbox to which nothing comes any more.
func (p *pump) forget(ib *inbox) {
	_ = ib.sub.Unsubscribe() // fails only when the connection is gone, and the subscription with it
	delete(p.bySub, ib.sub)
	ib.lane.drop(ib)
}

// drop takes an inbox out of a lane.
func (l *lane) drop(ib *inbox) {
	if l.inbox == ib {
		l.inbox = nil
	}
	if i := slices.Index(l.aging, ib); i >= 0 {
		l.aging = slices.Delete(l.aging, i, i+1)
	}
}

// retire takes back what a lane has pulled. The promises are free when the
// inboxes have been drained.
func (p *pump) retire(l *lane) {
	for len(l.aging) > 0 {
		p.retireInbox(l.aging[0])
	}
	if l.inbox != nil {
		p.retireInbox(l.inbox)
	}
}

func (p *pump) retireInbox(ib *inbox) {
	ib.lane.drop(ib)
	ib.retired, ib.aging = true, false
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

// drained frees the promises of an inbox that was retired. p.mu is held.
func (p *pump) drained(ib *inbox) {
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
	p.hint()
	p.noteStill()
}
