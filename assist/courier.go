package assist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
	"github.com/occamy-go/occamy/broker"
)

// errand is a grant that is to be sent.
type errand struct {
	to    *member
	grant *wire.Grant
	// tell: the assistant need not confirm it. It has been there a moment ago, and
	// will say by itself what has arrived.
	tell bool
}

// serve sees to it that m is told what there is to tell it. The caller holds the
// lock, which it gives back by unlock.
func (c *crew) serve(m *member) {
	if m.busy || !c.listening() {
		return
	}
	e := c.errandTo(m)
	if e == nil {
		return
	}
	c.sending++
	if e.tell {
		c.outbox = append(c.outbox, e)
	} else {
		go c.run(e, true)
	}
}

// serveAll has those who wait for work get some. It costs as much as there is
// to give.
func (c *crew) serveAll() {
	for m := range c.hungry {
		if c.books.idle() {
			return
		}
		c.serve(m)
	}
}

// errandTo returns the next errand to m, nil for none that is worth a message. The
// caller holds the lock; m is busy until the errand was run.
func (c *crew) errandTo(m *member) *errand {
	g := c.grantFor(m)
	if g == nil {
		return nil
	}
	m.busy = true
	return &errand{m, g, m.reached && g.State != wire.End && time.Since(m.heard) < c.silence()}
}

// silence is how long nothing is heard of an assistant before it is asked for.
func (c *crew) silence() time.Duration { return 2 * c.h.cfg.beat() }

// grantFor returns what to tell m, nil for nothing that is worth a message. Who
// waits for more is hungry from then on.
func (c *crew) grantFor(m *member) *wire.Grant {
	if c.members[m.Holder] != m || !c.listening() {
		return nil
	}
	g := &wire.Grant{Job: c.job, Run: m.Run, Epoch: c.epoch, Seq: m.grants + 1, Heard: m.reports}
	worth := m.urgent
	if m.end {
		g.State = wire.End
	} else if m.want > 0 && c.books.grant(g, m) {
		worth = true
	}
	delete(c.hungry, m)
	if m.want > 0 && !m.end {
		c.hungry[m] = struct{}{}
	}
	if !worth {
		return nil
	}
	g.Room = uint64(c.room())
	m.due, m.urgent, m.unconfirmed = false, false, 0
	m.grants, m.granted = g.Seq, time.Now()
	return g
}

// How long is waited for an assistant to be reached at first: its server may not
// listen for it yet.
const (
	reachTime  = time.Second
	reachPause = 2 * time.Millisecond
	sendTime   = 5 * time.Second
)

// run runs an errand and those to the same assistant that follow from it, until
// there is none, or one fails. aside: in a goroutine that may wait.
func (c *crew) run(e *errand, aside bool) {
	for e != nil {
		if !e.tell && !aside {
			go c.run(e, true)
			return
		}
		next, tell := c.sent(e, c.deliver(e))
		if tell != nil {
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: a message to assistant %q: %w", c.req.ID, e.to.ID, tell))
		}
		e = next
	}
}

// sent notes what became of an errand. It returns the next one, and an error that
// the user is to be told.
func (c *crew) sent(e *errand, err error) (next *errand, tell error) {
	c.mu.Lock()
	defer c.unlock()
	e.to.busy = false
	more, tell := c.outcome(e.to, e.grant, err)
	if more {
		next = c.errandTo(e.to)
	}
	if next == nil {
		c.sending--
		if c.closing {
			c.changed.Broadcast()
		}
	}
	return next, tell
}

// outcome says whether something more may be sent to m.
func (c *crew) outcome(m *member, g *wire.Grant, err error) (more bool, tell error) {
	switch {
	case err == nil:
		m.reached = true
		if m.end && g.State == wire.End {
			c.drop(m, false)
		}
	case errors.Is(err, broker.ErrNobody):
		c.drop(m, true)
		c.serveAll()
	case errors.Is(err, occamy.ErrTooLarge) && len(g.Units) > 1:
		m.small, m.urgent = true, true
		c.books.undo(g, m)
	case errors.Is(err, occamy.ErrTooLarge):
		return false, c.books.tooLarge(g, err)
	case c.life.Err() == nil:
		// It may have arrived all the same: its next report tells. Until then,
		// or the next tick, nothing is sent.
		m.due = true
		return false, err
	}
	return true, nil
}

// deliver returns once the assistant's server has the grant, or, when that is
// told, once it is on its way.
func (c *crew) deliver(e *errand) error {
	m, body := e.to, e.grant.Encode()
	if e.tell {
		return c.h.client.Tell(c.life, m.ID, grantHeaders(), body)
	}
	ctx, cancel := context.WithTimeout(c.life, sendTime)
	defer cancel()
	begin, pause := time.Now(), reachPause
	for {
		err := c.h.client.Control(ctx, m.ID, grantHeaders(), body)
		if !errors.Is(err, broker.ErrNobody) || m.reached || time.Since(begin) > reachTime {
			return err
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, 20*reachPause)
		case <-ctx.Done():
			return err
		}
	}
}

func grantHeaders() occamy.Headers { return occamy.Headers{headerMessage: sayGrant} }

// farewell is how long the end of a job waits for its assistants to be told.
const farewell = 250 * time.Millisecond

// close takes no more reports, and ends what is sent. dismiss has the assistants
// told that there is nothing left to do; otherwise they wait for the next attempt.
func (c *crew) close(dismiss bool) {
	c.mu.Lock()
	defer c.unlock()
	if c.listening() {
		if dismiss {
			c.most = 0 // whoever comes now is told so too
			for _, m := range c.members {
				m.end, m.urgent = true, true
				c.serve(m)
			}
			late := time.AfterFunc(farewell, c.hangUp)
			defer late.Stop()
		} else {
			c.over = true
			c.hangUp()
		}
		c.closing = true
		for c.sending > 0 {
			c.changed.Wait()
		}
		c.hangUp()
	}
	c.over = true
	c.changed.Broadcast()
}
