package assist

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/ledger"
	"github.com/occamy-go/occamy/assist/internal/wire"
	"github.com/occamy-go/occamy/broker"
)

// books are what a master keeps of its work. All methods but examine are called
// with the crew's lock held, and do not block.
type books interface {
	// examine looks at a report, without the lock, since it may call the job.
	// What it returns goes to report.
	examine(r *wire.Report) any
	// report takes what an assistant says of its work. It says whether the
	// assistant waits for an answer.
	report(m *member, r *wire.Report, seen any) (answer bool)
	// grant adds to g what m is to have. It says whether there was anything.
	grant(g *wire.Grant, m *member) bool
	// undo takes back what g gave to m, as it cannot be sent.
	undo(g *wire.Grant, m *member)
	// gone says that m will report no more; lost, that it did not say so itself.
	gone(m *member, lost bool)
	// tooLarge says that not even the smallest part of g can be sent.
	tooLarge(g *wire.Grant, err error)
	// useful is how many assistants would have something to do, those that are
	// there included.
	useful() int
}

// crew is the assistants that a master knows, wherever they are.
type crew struct {
	h     *handler
	req   occamy.Request // as it came
	job   wire.Job
	most  int               // assistants
	user  occamy.Controller // the job, when it takes control messages
	books books             // its methods are guarded by mu

	mu      sync.Mutex
	changed *sync.Cond // of mu: something has, or it is over
	epoch   uint64     // guarded by mu, as is all below
	over    bool
	members map[ledger.Holder]*member
	sends   sync.WaitGroup
	life    context.Context // of what is sent; nil before begin
	hiring  hiring
	early   []report // that came before begin
}

// report is a report that was looked at.
type report struct {
	wire.Report
	seen any
}

// mostEarly bounds the reports that are kept until begin; who is not heard then
// says so again.
const mostEarly = 256

// member is one assistant. It is guarded by the crew's lock.
type member struct {
	ledger.Holder
	needed, root bool
	heard        time.Time // when its last report came
	reports      uint64    // Seq of that
	grants       uint64    // Seq of the last grant to it
	granted      time.Time
	want         int
	end          bool // it is not needed any more
	due          bool // there is something to tell it
	busy         bool // somebody is sending to it
	reached      bool // a grant has arrived
	small        bool // one unit at a time fills a message

	// of a search
	told   uint64    // the version of the best solution that it knows
	bestAt time.Time // when it was told of one
}

func newCrew(h *handler, r occamy.Request, job any) *crew {
	least, most := h.sizeOf(job, r)
	c := &crew{h: h, req: r, job: h.jobOf(r), most: most, members: make(map[ledger.Holder]*member)}
	c.hiring = hiring{least: least, needed: make(map[string]bool)}
	c.user, _ = job.(occamy.Controller)
	c.changed = sync.NewCond(&c.mu)
	return c
}

// begin opens the books. What is sent from now on ends with life.
func (c *crew) begin(life context.Context, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.life, c.epoch = life, epoch
	for i := range c.early {
		c.enter(&c.early[i])
	}
	c.early = nil
}

// listening says whether reports are taken: they are from begin until close.
func (c *crew) listening() bool { return c.life != nil && !c.over }

// take takes a report.
func (c *crew) take(body []byte) error {
	r, err := wire.DecodeReport(body)
	if err != nil {
		return err
	}
	if r.Job != c.job || broker.CheckID(r.From) != nil {
		return nil // of another job with the same ID
	}
	seen := report{r, c.books.examine(&r)}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.listening():
		c.enter(&seen)
	case !c.over && len(c.early) < mostEarly:
		c.early = append(c.early, seen)
	}
	return nil
}

// enter enters a report into the books. The caller holds the lock.
func (c *crew) enter(r *report) {
	h := ledger.Holder{ID: r.From, Run: r.Run}
	m := c.members[h]
	if m == nil {
		if r.Leaving && len(r.Results) == 0 && r.Best == nil {
			return
		}
		m = &member{Holder: h, needed: r.Needed, root: r.Root, end: !r.Leaving && len(c.members) >= c.most}
		c.members[h] = m
		c.hiring.came(m)
	}
	m.heard = time.Now()
	answer := c.books.report(m, &r.Report, r.seen) || r.Epoch != c.epoch
	if r.Seq > m.reports {
		m.reports, m.want = r.Seq, int(min(r.Want, 1<<20))
	}
	if r.Leaving {
		c.drop(m, false)
	} else if answer || m.want > 0 || m.end {
		m.due = true
		c.serve(m)
	}
	c.changed.Broadcast()
}

func (c *crew) drop(m *member, lost bool) {
	if c.members[m.Holder] != m {
		return
	}
	delete(c.members, m.Holder)
	c.books.gone(m, lost)
	c.changed.Broadcast()
}

// serve sees to it that m is told what there is to tell it.
func (c *crew) serve(m *member) {
	if m.busy || !c.listening() || !m.due && m.want == 0 {
		return
	}
	g, worth := c.grantFor(m)
	if !worth {
		return
	}
	m.busy = true
	c.sends.Go(func() { c.send(m, g) })
}

// grantFor returns what to tell m, and whether it is worth a message.
func (c *crew) grantFor(m *member) (*wire.Grant, bool) {
	g := &wire.Grant{Job: c.job, Run: m.Run, Epoch: c.epoch, Seq: m.grants + 1, Heard: m.reports}
	switch {
	case m.end:
		g.State = wire.End
	case !c.books.grant(g, m) && !m.due:
		return nil, false
	}
	g.Room = uint64(c.room())
	m.due = false
	m.grants, m.granted = g.Seq, time.Now()
	return g, true
}

// serveAll has those who wait for work get some.
func (c *crew) serveAll() {
	for _, m := range c.members {
		c.serve(m)
	}
}

// How long is waited for an assistant to be reached at first: its server may not
// listen for it yet.
const (
	reachTime  = time.Second
	reachPause = 2 * time.Millisecond
	sendTime   = 5 * time.Second
)

// send sends grants to m until there is none.
func (c *crew) send(m *member, g *wire.Grant) {
	for {
		err := c.deliver(m, g)
		c.mu.Lock()
		switch {
		case err == nil:
			m.reached = true
		case errors.Is(err, broker.ErrNobody):
			c.drop(m, true)
		case errors.Is(err, occamy.ErrTooLarge) && len(g.Units) > 1:
			m.small = true
			c.books.undo(g, m)
			m.due = true
		case errors.Is(err, occamy.ErrTooLarge):
			c.books.tooLarge(g, err)
		case c.life.Err() == nil:
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: a message to assistant %q: %w", c.req.ID, m.ID, err))
		}
		if m.end && err == nil {
			c.drop(m, false)
		}
		m.busy = false
		if c.members[m.Holder] != m || !c.listening() || !m.due && m.want == 0 {
			c.mu.Unlock()
			return
		}
		var worth bool
		g, worth = c.grantFor(m)
		m.busy = worth
		c.mu.Unlock()
		if !worth {
			return
		}
	}
}

// deliver returns once the assistant's server has the grant.
func (c *crew) deliver(m *member, g *wire.Grant) error {
	ctx, cancel := context.WithTimeout(c.life, sendTime)
	defer cancel()
	body, begin := g.Encode(), time.Now()
	for {
		err := c.h.client.Control(ctx, m.ID, occamy.Headers{headerMessage: sayGrant}, body)
		if !errors.Is(err, broker.ErrNobody) || m.reached || time.Since(begin) > reachTime {
			return err
		}
		select {
		case <-time.After(reachPause):
		case <-ctx.Done():
			return err
		}
	}
}

// expire drops the assistants that have been silent for too long.
func (c *crew) expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		if now.Sub(m.heard) > c.h.cfg.LeaseTimeout {
			c.drop(m, true)
		}
	}
	c.serveAll()
}

// farewell is how long the end of a job waits for its assistants to be told.
const farewell = 250 * time.Millisecond

// close takes no more reports. dismiss has the assistants told that there is
// nothing left to do; otherwise they wait for the next attempt.
func (c *crew) close(dismiss bool) {
	c.mu.Lock()
	if dismiss && c.listening() {
		for _, m := range c.members {
			m.end, m.due = true, true
			c.serve(m)
		}
	}
	c.mu.Unlock()
	told := make(chan struct{})
	go func() {
		c.sends.Wait()
		close(told)
	}()
	if dismiss {
		select {
		case <-told:
		case <-time.After(farewell):
		}
	}
	c.mu.Lock()
	c.over = true
	c.changed.Broadcast()
	c.mu.Unlock()
}
