package nats

import (
	"context"
	"slices"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
)

// A pump turns the promises of an intake into pull requests: at no time more
// than were promised, over all kinds together. File assign.go decides which
// kind gets them.
//
// A promise is in exactly one place: in free, in an inbox (pulled, and no
// message has come), or with a message until it was handed over.
type pump struct {
	b      *Broker
	in     occamy.Intake
	keys   occamy.HeaderKeys
	slots  int
	timing pullTiming

	arrivals     chan *natsgo.Msg // what NATS delivers; sized so that it never fills
	quit         chan struct{}
	broken       chan *lane
	failed       chan error // what ends Consume; holds one
	watchChanged chan struct{}
	need         chan struct{}  // more promises are of use; holds one
	work         sync.WaitGroup // goroutines for messages that are not handed over, and for set-up

	mu        sync.Mutex // guards all below; the intake's Acquire is not called under it
	lanes     []*lane
	bySub     map[*natsgo.Subscription]*inbox
	free      int
	retiring  int // inboxes that are being drained
	withdrawn <-chan struct{}
	paused    bool          // the server has taken its promises back
	ended     bool          // it takes no more
	still     chan struct{} // closed when, after that, nothing is pulled nor on its way
	later     bool          // assign is to be called after a while
	turn      int           // of the lanes with a backlog
	began     time.Time
}

// A lane is what the pump knows of one kind.
type lane struct {
	kind      string
	queue     queue
	ready     bool // the consumer is there
	preparing bool
	tried     bool // set up once, or failed to be
	served    bool // set up once
	failures  int  // in a row
	told      string
	toldAt    time.Time

	inbox   *inbox // nil when nothing is pulled
	aging   []*inbox
	pending int // messages that wait, as NATS said last
	looked  time.Time

	unbounded bool // a message waits that is larger than a pull brings
}

func newPump(b *Broker, in occamy.Intake, info occamy.Info) *pump {
	p := &pump{
		b: b, in: in, keys: info.Keys.WithDefaults(), slots: info.Slots, timing: b.timing,
		arrivals:     make(chan *natsgo.Msg, info.Slots+4096),
		quit:         make(chan struct{}),
		broken:       make(chan *lane, len(info.Kinds)),
		failed:       make(chan error, 1),
		watchChanged: make(chan struct{}, 1),
		need:         make(chan struct{}, 1),
		bySub:        make(map[*natsgo.Subscription]*inbox),
		still:        make(chan struct{}),
		began:        time.Now(),
	}
	for _, kind := range info.Kinds {
		p.lanes = append(p.lanes, &lane{kind: kind, preparing: true})
	}
	return p
}

// promised takes n promises of the intake.
func (p *pump) promised(n int, withdrawn <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += n
	if p.withdrawn != withdrawn {
		if p.withdrawn != nil && isClosed(p.withdrawn) {
			p.withdrawLocked()
		}
		p.withdrawn = withdrawn
		p.changed()
	}
	if p.paused && !p.ended {
		p.paused = false
		if isClosed(p.still) {
			p.still = make(chan struct{})
		}
	}
	p.assign()
}

// changed has attend look anew at what it waits for.
func (p *pump) changed() {
	select {
	case p.watchChanged <- struct{}{}:
	default:
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (p *pump) watch() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.withdrawn
}

// withdraw takes all pulls back and gives the promises to the intake.
func (p *pump) withdraw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.withdrawn = nil
	p.withdrawLocked()
}

func (p *pump) withdrawLocked() {
	p.paused = true
	for _, l := range p.lanes {
		p.retire(l)
	}
	for _, ib := range p.bySub {
		ib.giveBack = true
	}
	p.release()
	p.hint()
	p.noteStill()
}

// noteStill: perhaps nothing is pulled any more. p.mu is held.
func (p *pump) noteStill() {
	if (p.paused || p.ended) && p.retiring == 0 && !isClosed(p.still) {
		close(p.still)
	}
}

// stillTime is how long awaitStill waits at most.
const stillTime = 2 * time.Second

// awaitStill returns once nothing is pulled, where the server takes no requests.
// What is handed back before that may be sent to an inbox that is given up just
// then: NATS, when it is busy, does not notice until the lease ends.
func (p *pump) awaitStill(ctx context.Context) {
	p.mu.Lock()
	open, still := !p.paused && !p.ended && (p.withdrawn == nil || !isClosed(p.withdrawn)), p.still
	p.mu.Unlock()
	if open {
		return
	}
	late := time.NewTimer(stillTime)
	defer late.Stop()
	select {
	case <-still:
	case <-late.C:
	case <-ctx.Done():
	}
}

// sated: so much is pulled, or about to be, that more is asked for together,
// once a bunch of it is used up.
func (p *pump) sated() bool {
	has := p.free
	for _, l := range p.lanes {
		has += l.out()
	}
	return has >= manyPulled && has > p.slots-p.bunch()
}

// hint wakes acquire when more promises are of use. p.mu is held.
func (p *pump) hint() {
	if p.sated() {
		return
	}
	select {
	case p.need <- struct{}{}:
	default:
	}
}

// hunger waits until more promises are of use; false when ctx has ended.
func (p *pump) hunger(ctx context.Context) bool {
	for {
		p.mu.Lock()
		sated := p.sated()
		p.mu.Unlock()
		if !sated {
			return ctx.Err() == nil
		}
		select {
		case <-p.need:
		case <-ctx.Done():
			return false
		}
	}
}

func (p *pump) release() {
	if n := p.free; n > 0 {
		p.free = 0
		p.in.Release(n)
	}
}

// fault has a lane set up anew.
func (p *pump) fault(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.preparing, l.tried = false, true
	p.faultLocked(l)
}

func (p *pump) faultLocked(l *lane) {
	p.retire(l)
	l.ready = false
	if l.preparing || p.ended {
		return
	}
	l.preparing = true
	l.failures++
	p.broken <- l // one place for each lane
}

// reconnected makes everything anew: pulls may have been lost, and with a NATS
// server that lost its store, consumers.
func (p *pump) reconnected(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		p.retire(l)
		l.ready = false
		if !l.preparing {
			l.preparing = true
			p.prepare(ctx, l, 0)
		}
	}
}

// check looks for pulls that were lost.
func (p *pump) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, tick := time.Now(), p.tick()
	for _, l := range p.lanes {
		for _, ib := range append(slices.Clone(l.aging), l.inbox) {
			if ib == nil || ib.out == 0 {
				continue
			}
			mute := !ib.silent && now.Sub(ib.heard) > 2*p.timing.heartbeat+tick
			if mute || now.After(ib.deadline.Add(tick)) {
				p.retireInbox(ib)
			}
		}
	}
	p.assign() // what could not be sent
}

// tick is the time between calls of check. p.mu is held.
func (p *pump) tick() time.Duration {
	d := p.timing.tick
	for _, l := range p.lanes {
		if l.ready {
			d = min(d, l.queue.ackWait/16)
		}
	}
	return d
}

func (p *pump) nextTick() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tick()
}

// end takes all pulls back and waits, for a while, until nothing is on its way.
func (p *pump) end() {
	p.mu.Lock()
	p.ended = true
	for _, l := range p.lanes {
		p.retire(l)
	}
	p.release()
	p.noteStill()
	p.mu.Unlock()

	over := time.NewTimer(giveBackTime)
	defer over.Stop()
	select {
	case <-p.still:
	case <-over.C:
	}
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		p.work.Wait()
	}()
	select {
	case <-worked:
	case <-over.C:
	}
}
