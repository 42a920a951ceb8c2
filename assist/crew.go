package assist

import (
	"context"
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
	// idle says that there is nothing that grant could give to anyone.
	idle() bool
	// grant adds to g what m is to have. It says whether there was anything.
	grant(g *wire.Grant, m *member) bool
	// undo takes back what g gave to m, as it cannot be sent.
	undo(g *wire.Grant, m *member)
	// gone says that m will report no more; lost, that it did not say so itself.
	gone(m *member, lost bool)
	// tooLarge says that not even the smallest part of g can be sent. What it
	// returns is for Config.OnError.
	tooLarge(g *wire.Grant, err error) error
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
	hungry  map[*member]struct{} // of members, those that wait to be told something
	hiring  hiring
	early   early
	lull    lull // needs no lock

	life    context.Context // of what is sent; nil before begin
	hangUp  context.CancelFunc
	sending int  // assistants that somebody is sending to
	closing bool // somebody waits until that is 0
	outbox  []*errand
}

// report is a report that was looked at.
type report struct {
	wire.Report
	seen any
}

// early is the reports that came before begin. They are bounded, as the bodies
// are the senders'; who is not heard then says so again.
type early struct {
	reports []report
	bytes   int
}

const mostEarly = 256

func (e *early) add(r report, size, most int) {
	if len(e.reports) < mostEarly && e.bytes+size <= most {
		e.reports = append(e.reports, r)
		e.bytes += size
	}
}

const (
	// mostMembers bounds the assistants of a job, and so what a stranger's
	// messages can make a master remember.
	mostMembers = 4096
	// mostSurplus is how many beyond Most are told to end at a time.
	mostSurplus = 256
)

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
	due          bool // there is something to tell it, with the next tick
	urgent       bool // and at once
	unconfirmed  int  // bytes of results that it keeps until it is told that they are here
	busy         bool // somebody is sending to it
	reached      bool // a grant has arrived
	small        bool // one unit at a time fills a message

	told uint64 // of a search: the version of the best solution that it knows
}

func newCrew(h *handler, r occamy.Request, job any) *crew {
	least, most := h.sizeOf(job, r)
	c := &crew{
		h: h, req: r, job: h.jobOf(r), most: most,
		members: make(map[ledger.Holder]*member), hungry: make(map[*member]struct{}),
	}
	c.hiring = hiring{least: least, needed: make(map[string]*hired)}
	c.user, _ = job.(occamy.Controller)
	c.changed = sync.NewCond(&c.mu)
	return c
}

// begin opens the books. What is sent from now on ends with close.
func (c *crew) begin(ctx context.Context, epoch uint64) {
	c.mu.Lock()
	defer c.unlock()
	c.life, c.hangUp = context.WithCancel(context.WithoutCancel(ctx))
	c.epoch = epoch
	for i := range c.early.reports {
		c.enter(&c.early.reports[i])
	}
	c.early = early{}
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
	defer c.unlock()
	switch {
	case c.listening():
		c.enter(&seen)
	case !c.over:
		c.early.add(seen, len(body), c.h.cfg.Buffer)
	}
	return nil
}

// enter enters a report into the books. The caller holds the lock.
func (c *crew) enter(r *report) {
	m := c.member(r)
	if m == nil {
		return
	}
	m.heard = time.Now()
	answer := c.books.report(m, &r.Report, r.seen)
	for i := range r.Results {
		m.unconfirmed += len(r.Results[i].Body)
	}
	if r.Seq > m.reports {
		m.reports, m.want = r.Seq, int(min(r.Want, wire.MaxUnits))
	}
	if r.Leaving {
		c.drop(m, false)
		c.serveAll()
	} else {
		m.due = m.due || answer || m.want > 0
		m.urgent = m.urgent || m.end || r.Epoch != c.epoch || m.unconfirmed > mostUnconfirmed
		c.serve(m)
	}
	c.changed.Broadcast()
}

// unlock gives the lock back, and then runs the errands that need not wait.
func (c *crew) unlock() {
	out := c.outbox
	c.outbox = nil
	c.mu.Unlock()
	for _, e := range out {
		c.run(e, false)
	}
}

// member returns who sent r, nil for nobody that counts.
func (c *crew) member(r *report) *member {
	h := ledger.Holder{ID: r.From, Run: r.Run}
	if m := c.members[h]; m != nil {
		return m
	}
	if r.Leaving && len(r.Results) == 0 && r.Best == nil || len(c.members) >= c.most+mostSurplus {
		return nil
	}
	m := &member{Holder: h, needed: r.Needed, root: r.Root}
	if r.Epoch == c.epoch {
		m.grants = r.Heard // it was given up, and remembers what came before
	}
	if wanted := c.hiring.came(m); !r.Leaving && len(c.members) >= c.most {
		m.end = !wanted || !c.giveWay()
	}
	c.members[h] = m
	return m
}

// giveWay ends an assistant that is not one of those needed, for one that is.
func (c *crew) giveWay() bool {
	for _, m := range c.members {
		if !m.needed && !m.end {
			m.end, m.urgent = true, true
			c.serve(m)
			return true
		}
	}
	return false
}

func (c *crew) drop(m *member, lost bool) {
	if c.members[m.Holder] != m {
		return
	}
	delete(c.members, m.Holder)
	delete(c.hungry, m)
	c.hiring.left(m)
	c.books.gone(m, lost)
	c.changed.Broadcast()
}

// mostUnconfirmed is how many bytes of results an assistant keeps until the next
// tick.
const mostUnconfirmed = 64 << 10

// expire drops the assistants that have been silent for too long, and tells the
// others what could wait.
func (c *crew) expire(now time.Time) {
	c.mu.Lock()
	defer c.unlock()
	for _, m := range c.members {
		silent := now.Sub(m.heard)
		if silent > c.h.cfg.LeaseTimeout {
			c.drop(m, true)
			continue
		}
		// Is it there at all?
		m.due = m.due || silent > c.silence() && now.Sub(m.granted) > c.silence()
		m.urgent = m.urgent || m.due
	}
	for _, m := range c.members {
		if m.urgent || m.want > 0 {
			c.serve(m)
		}
	}
}
