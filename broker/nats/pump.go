package nats

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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
	timing pullTiming

	arrivals     chan *natsgo.Msg // what NATS delivers; sized so that it never fills
	quit         chan struct{}
	broken       chan *lane
	watchChanged chan struct{}
	work         sync.WaitGroup // goroutines for messages that are not handed over, and for set-up

	mu        sync.Mutex // guards all below; the intake's Acquire is not called under it
	lanes     []*lane
	bySub     map[*natsgo.Subscription]*inbox
	free      int
	retiring  int // inboxes that are being drained
	quiet     chan struct{}
	withdrawn <-chan struct{}
	ended     bool
	turn      int // of the lanes with a backlog
	began     time.Time
}

// A lane is what the pump knows of one kind.
type lane struct {
	kind      string
	queue     queue
	ready     bool // the consumer is there
	preparing bool
	tried     bool // set up once, or failed to be
	failures  int  // in a row

	inbox   *inbox // nil when nothing is pulled
	pending int    // messages that wait, as NATS said last
	looked  time.Time
}

// An inbox receives what was pulled for a lane. When promises are to be taken
// back it is drained: the subscription ends, which ends its pulls, and what is
// on its way still comes.
type inbox struct {
	lane     *lane
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

func newPump(b *Broker, in occamy.Intake, info occamy.Info) *pump {
	p := &pump{
		b: b, in: in, keys: info.Keys.WithDefaults(), timing: defaultTiming,
		arrivals:     make(chan *natsgo.Msg, info.Slots+4096),
		quit:         make(chan struct{}),
		broken:       make(chan *lane, len(info.Kinds)),
		watchChanged: make(chan struct{}, 1),
		bySub:        make(map[*natsgo.Subscription]*inbox),
		quiet:        make(chan struct{}),
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
		select {
		case p.watchChanged <- struct{}{}:
		default:
		}
	}
	p.assign()
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
	for _, l := range p.lanes {
		p.retire(l)
	}
	for _, ib := range p.bySub {
		ib.giveBack = true
	}
	p.release()
}

func (p *pump) release() {
	if n := p.free; n > 0 {
		p.free = 0
		p.in.Release(n)
	}
}

// pull asks NATS for n messages of a lane.
func (p *pump) pull(l *lane, n int, expires time.Duration, noWait bool) {
	now := time.Now()
	if l.inbox == nil {
		if err := p.openInbox(l, now); err != nil {
			p.b.cfg.OnError(fmt.Errorf("nats: consume %q: %w", l.kind, err))
			p.faultLocked(l)
			return
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
		return // not connected: the promises stay free until there is a new connection
	}
	if end := now.Add(expires); end.After(ib.deadline) {
		ib.deadline = end
	}
	p.free -= n
	ib.out += n
	l.looked = now
}

func (p *pump) openInbox(l *lane, now time.Time) error {
	prefix := p.b.nc.NewInbox() + "."
	sub, err := p.b.nc.ChanSubscribe(prefix+"*", p.arrivals)
	if err != nil {
		return err
	}
	l.inbox = &inbox{lane: l, sub: sub, prefix: prefix, since: now, heard: now}
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
	m, err := newMessage(p.b, ib.lane.queue, p.keys, raw, now)
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
// any more, or not here.
func (p *pump) deliver(m *message, raw *natsgo.Msg) {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if at, ok := notBefore(raw.Header); ok {
		if early := time.Until(at); early > 0 {
			p.aside("postpone", m, func(ctx context.Context) error { return m.nak(ctx, early) })
			return
		}
	}
	switch {
	case m.crashes >= p.b.cfg.MaxDeliver:
		p.aside("bury", m, m.bury)
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

// check looks for pulls that were lost, and ends what miscounts there may be.
func (p *pump) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, l := range p.lanes {
		ib := l.inbox
		if ib == nil || ib.out == 0 {
			continue
		}
		mute := !ib.silent && now.Sub(ib.heard) > 2*p.timing.heartbeat+p.timing.tick
		overdue := now.After(ib.deadline.Add(p.timing.tick))
		if mute || overdue || now.Sub(ib.since) > p.timing.rotate {
			p.retire(l)
		}
	}
	p.assign() // what could not be sent
}

// end takes all pulls back and waits, for a while, until nothing is on its way.
func (p *pump) end() {
	p.mu.Lock()
	p.ended = true
	for _, l := range p.lanes {
		p.retire(l)
	}
	p.release()
	if p.retiring == 0 {
		close(p.quiet)
	}
	p.mu.Unlock()

	over := time.NewTimer(giveBackTime)
	defer over.Stop()
	select {
	case <-p.quiet:
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
