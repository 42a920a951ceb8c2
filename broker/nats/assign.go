package nats

import (
	"slices"
	"time"
)

// manyPulled is how many promises may wait until more are no longer pulled one
// by one, but some together.
const manyPulled = 16

// assign gives the free promises to the lanes. p.mu is held.
//
// A lane with a backlog comes first, but an idle one is looked at now and then.
// Without a backlog each lane gets one, the one that waited longest first, and
// then what is left is spread. With fewer promises than lanes their pulls are
// short, so that each lane gets its turn.
func (p *pump) assign() {
	if p.ended || !p.b.nc.IsConnected() {
		return
	}
	if len(p.lanes) == 1 {
		p.assignAlone()
		return
	}
	now := time.Now()
	if now.Sub(p.began) < p.timing.start && slices.ContainsFunc(p.lanes, func(l *lane) bool { return !l.tried }) {
		return // the lane that is ready first would get everything
	}
	ready := make([]*lane, 0, len(p.lanes))
	total := p.free
	for _, l := range p.lanes {
		if l.ready {
			ready = append(ready, l)
			total += l.out()
		}
	}
	if len(ready) == 0 {
		return
	}
	backlogged := filter(ready, (*lane).hungry)
	if len(backlogged) > 0 {
		for _, l := range starved(ready) {
			if p.free > 0 && !l.hungry() && now.Sub(l.looked) >= p.timing.probe {
				p.pull(l, 1, 0, true)
			}
		}
		p.feed(backlogged, len(ready), total)
	}
	p.spread(ready, total)
	p.reclaim(ready)
}

// bunch is how many promises are pulled together while there is enough pulled.
func (p *pump) bunch() int { return max(p.slots/4, 1) }

func (p *pump) assignAlone() {
	l := p.lanes[0]
	if p.free == 0 || !l.ready {
		return
	}
	if l.out() >= manyPulled && p.free < p.bunch() {
		return
	}
	p.pull(l, p.free, p.timing.expires, false)
}

func (l *lane) out() (n int) {
	if l.inbox != nil {
		n = l.inbox.out
	}
	for _, ib := range l.aging {
		n += ib.out
	}
	return n
}

// hungry: more messages wait than were pulled, as far as is known.
func (l *lane) hungry() bool { return l.pending > l.out() }

func filter(lanes []*lane, keep func(*lane) bool) []*lane {
	var out []*lane
	for _, l := range lanes {
		if keep(l) {
			out = append(out, l)
		}
	}
	return out
}

// starved returns the lanes that have pulled nothing, the one that was looked at
// longest ago first.
func starved(lanes []*lane) []*lane {
	out := filter(lanes, func(l *lane) bool { return l.out() == 0 })
	slices.SortStableFunc(out, func(a, b *lane) int { return a.looked.Compare(b.looked) })
	return out
}

// grants are shares of the free promises, by lane.
type grants struct {
	lanes []*lane
	n     []int
}

// feed shares the free promises among lanes with a backlog, in turns.
func (p *pump) feed(backlogged []*lane, ready, total int) {
	g := grants{lanes: backlogged, n: make([]int, len(backlogged))}
	for left, idle := p.free, 0; left > 0 && idle < len(backlogged); {
		i := p.turn % len(backlogged)
		p.turn++
		if l := backlogged[i]; l.out()+g.n[i] < l.pending {
			g.n[i]++
			left--
			idle = 0
		} else {
			idle++
		}
	}
	// NATS answers at once, unless another server was faster: then the pull is
	// not to wait for what may come.
	for i, l := range g.lanes {
		if g.n[i] > 0 {
			p.pull(l, g.n[i], p.slice(ready, total), false)
		}
	}
}

// spread gives each lane one, and then more to whoever has least.
func (p *pump) spread(ready []*lane, total int) {
	if p.free == 0 {
		return
	}
	order := starved(ready)
	for _, l := range ready {
		if l.out() > 0 {
			order = append(order, l)
		}
	}
	g := grants{lanes: order, n: make([]int, len(order))}
	pulled := total - p.free
	for left := p.free; left > 0; left-- {
		least := 0
		for i, l := range order {
			if l.out()+g.n[i] < order[least].out()+g.n[least] {
				least = i
			}
		}
		has := order[least].out() + g.n[least]
		if has > 0 && pulled >= manyPulled && pulled >= total/2 {
			break
		}
		g.n[least]++
	}
	p.grant(g, ready, total)
}

// grant pulls what was shared out. The pulls are short when some lane is left
// without, so that it gets its turn.
func (p *pump) grant(g grants, ready []*lane, total int) {
	expires := p.timing.expires
	for _, l := range ready {
		if i := slices.Index(g.lanes, l); l.out() == 0 && (i < 0 || g.n[i] == 0) {
			expires = p.slice(len(ready), total)
		}
	}
	for i, l := range g.lanes {
		if g.n[i] > 0 {
			p.pull(l, g.n[i], expires, false)
		}
	}
}

// slice is how long one turn lasts.
func (p *pump) slice(lanes, total int) time.Duration {
	s := p.timing.cycle * time.Duration(max(total, 1)) / time.Duration(lanes)
	return min(max(s, p.timing.cycle/10), p.timing.cycle/2)
}

// reclaim takes pulls back from a lane to which nothing comes, for others that
// need them: for a backlog, or since a lane has none while this one has several,
// or has one that would wait for long. A lane that is about to get something is
// left alone: in a cluster, what is on its way to an inbox that is given up can
// be lost until its lease ends.
func (p *pump) reclaim(ready []*lane) {
	if p.free > 0 || p.retiring > 0 {
		return
	}
	backlog := slices.ContainsFunc(ready, (*lane).hungry)
	without := slices.ContainsFunc(ready, func(l *lane) bool { return l.out() == 0 })
	if !backlog && !without {
		return
	}
	for _, l := range ready {
		if l.hungry() || l.out() == 0 || l.inbox != nil && l.inbox.probing {
			continue
		}
		if l.pending > 0 && time.Since(l.looked) < p.timing.answer {
			p.assignLater(p.timing.answer)
			continue
		}
		if backlog || l.out() > 1 || l.inbox == nil || !l.inbox.brief {
			p.retire(l)
			return
		}
	}
}

// assignLater looks again after a while. p.mu is held.
func (p *pump) assignLater(after time.Duration) {
	if p.later {
		return
	}
	p.later = true
	time.AfterFunc(after, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.later = false
		p.assign()
	})
}
