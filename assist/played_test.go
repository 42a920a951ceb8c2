package assist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/ledger"
	"github.com/occamy-go/occamy/assist/internal/wire"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

// played is a broker that a test plays. What it is not expected to be asked
// panics.
type played struct {
	client.Broker

	// control decides what becomes of a control message. Nil: it arrives. Set by
	// does once somebody may call.
	control func(id string, body []byte) error
	// ended are the requests that have an outcome.
	ended map[string]bool

	mu        sync.Mutex
	calls     int // of Control and Tell
	told      int // of Tell
	bodies    map[string][][]byte
	submitted []string
	optional  []broker.Request
	cancelled []string
}

func (p *played) Control(ctx context.Context, id string, _ occamy.Headers, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.control != nil {
		if err := p.control(id, body); err != nil {
			return err
		}
	}
	if p.bodies == nil {
		p.bodies = make(map[string][][]byte)
	}
	p.bodies[id] = append(p.bodies[id], body)
	return nil
}

// Tell implements client.Teller: what nobody takes is lost.
func (p *played) Tell(ctx context.Context, id string, headers occamy.Headers, body []byte) error {
	p.mu.Lock()
	p.told++
	p.mu.Unlock()
	err := p.Control(ctx, id, headers, body)
	if errors.Is(err, broker.ErrNobody) {
		return nil
	}
	return err
}

func (p *played) Submit(_ context.Context, r broker.Request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.submitted = append(p.submitted, r.ID)
	return nil
}

func (p *played) Optional(_ context.Context, r broker.Request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.optional = append(p.optional, r)
	return nil
}

func (p *played) Command(_ context.Context, h occamy.Headers) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancelled = append(p.cancelled, h[occamy.DefaultHeaderKeys().TaskID].(string))
	return nil
}

func (p *played) Result(_ context.Context, id string) (occamy.Outcome, error) {
	if p.ended[id] {
		return occamy.Outcome{ID: id}, nil
	}
	return occamy.Outcome{}, broker.ErrNotFound
}

// called is how often Control was called.
func (p *played) called() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// does changes control.
func (p *played) does(control func(id string, body []byte) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.control = control
}

func nobody(string, []byte) error   { return broker.ErrNobody }
func tooLarge(string, []byte) error { return occamy.ErrTooLarge }

// taken returns what was sent to an ID since the last call.
func (p *played) taken(id string) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bodies[id]
	delete(p.bodies, id)
	return b
}

// counting is a job of units that does nothing.
type counting struct{ N int }

func (c *counting) Units(context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range c.N {
			if !yield(i, nil) {
				return
			}
		}
	}
}
func (c *counting) Compute(context.Context, int) (int, error) { return 0, nil }
func (c *counting) Collect(context.Context, int, int) error   { return nil }
func (c *counting) Result(context.Context) ([]byte, error)    { return nil, nil }

func newCounting(_ context.Context, r occamy.Request) (UnitsJob[int, int], error) {
	c := &counting{}
	return c, json.Unmarshal(r.Body, c)
}

// crewTest is the crew of a master of units that does not run: the test plays
// the assistants.
type crewTest struct {
	t    *testing.T
	post *played
	m    *unitsMaster
	errs []error // guarded by mu of post
}

const ownEpoch = 7

// withCrew runs f in virtual time, with the books of n units open.
func withCrew(t *testing.T, n int, cfg Config, f func(c *crewTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &crewTest{t: t, post: &played{}}
		cfg.Broker = c.post
		if cfg.OnError == nil {
			cfg.OnError = func(err error) {
				c.m.progress() // takes the lock: a report of an error must not be under it
				c.post.mu.Lock()
				defer c.post.mu.Unlock()
				c.errs = append(c.errs, err)
			}
		}
		h := Units(newCounting, cfg).(*handler)
		task, err := h.Handle(t.Context(), occamy.Request{ID: "job", Kind: "k", Body: fmt.Appendf(nil, `{"N":%d}`, n)})
		if err != nil {
			t.Fatal(err)
		}
		c.m = task.(*unitsMaster)
		c.m.end = func(error) {}
		for i := range n {
			c.m.units.Add(fmt.Appendf(nil, "%d", i))
		}
		if err := c.m.units.Close(); err != nil {
			t.Fatal(err)
		}
		f(c)
		c.m.close(false)
	})
}

func (c *crewTest) begin() { c.m.begin(c.t.Context(), ownEpoch) }

// says has an assistant report.
func (c *crewTest) says(r wire.Report) {
	c.t.Helper()
	r.Job = c.m.crew.job
	if r.Run == 0 {
		r.Run = 1
	}
	if r.Epoch == 0 {
		r.Epoch = ownEpoch
	}
	if err := c.m.take(r.Encode()); err != nil {
		c.t.Fatal(err)
	}
}

// hears returns the grants that an assistant got since the last call.
func (c *crewTest) hears(id string) (gs []wire.Grant) {
	c.t.Helper()
	synctest.Wait()
	for _, b := range c.post.taken(id) {
		g, err := wire.DecodeGrant(b)
		if err != nil {
			c.t.Fatal(err)
		}
		gs = append(gs, g)
	}
	return gs
}

// wantGranted checks which units an assistant has got since the last call, and
// returns its last grant.
func (c *crewTest) wantGranted(id string, want ...uint64) (last wire.Grant) {
	c.t.Helper()
	got := []uint64{}
	for _, g := range c.hears(id) {
		for _, u := range g.Units {
			got = append(got, u.Index)
		}
		last = g
	}
	if !slices.Equal(got, want) && len(got)+len(want) > 0 {
		c.t.Errorf("%s got units %v, want %v", id, got, want)
	}
	return last
}

func (c *crewTest) wantEnded(id string) {
	c.t.Helper()
	gs := c.hears(id)
	if len(gs) == 0 || gs[len(gs)-1].State != wire.End {
		c.t.Errorf("%s heard %+v, want that it is to end", id, gs)
	}
}

func (c *crewTest) members() int {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return len(c.m.members)
}

// expireFor does what a master does every now and then, for d.
func (c *crewTest) expireFor(d time.Duration) {
	for range d / tendEvery {
		time.Sleep(tendEvery)
		c.m.expire(time.Now())
		synctest.Wait()
	}
}

func holder(id string) ledger.Holder { return ledger.Holder{ID: id, Run: 1} }
