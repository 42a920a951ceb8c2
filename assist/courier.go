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

// serve sees to it that m is told what there is to tell it. The caller holds the
// lock.
func (c *crew) serve(m *member) {
	if m.busy || !c.listening() {
		return
	}
	if g := c.grantFor(m); g != nil {
		m.busy = true
		c.sending++
		go c.send(m, g) // close waits for it
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

// grantFor returns what to tell m, nil for nothing that is worth a message. Who
// waits for more is hungry from then on.
func (c *crew) grantFor(m *member) *wire.Grant {
	if c.members[m.Holder] != m || !c.listening() {
		return nil
	}
	g := &wire.Grant{Job: c.job, Run: m.Run, Epoch: c.epoch, Seq: m.grants + 1, Heard: m.reports}
	worth := m.due
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
	m.due = false
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

// send sends grants to m until there is none, or one cannot be sent.
func (c *crew) send(m *member, g *wire.Grant) {
	for g != nil {
		next, tell := c.sent(m, g, c.deliver(m, g))
		if tell != nil {
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: a message to assistant %q: %w", c.req.ID, m.ID, tell))
		}
		g = next
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sending--
	c.changed.Broadcast()
}

// sent notes what became of a grant. It returns the next one, and an error that
// the user is to be told.
func (c *crew) sent(m *member, g *wire.Grant, err error) (next *wire.Grant, tell error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.busy = false
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
		m.small, m.due = true, true
		c.books.undo(g, m)
	case errors.Is(err, occamy.ErrTooLarge):
		return nil, c.books.tooLarge(g, err)
	case c.life.Err() == nil:
		// It may have arrived all the same: its next report tells. Until then,
		// or the next tick, nothing is sent.
		m.due = true
		c.hungry[m] = struct{}{}
		return nil, err
	}
	if next = c.grantFor(m); next != nil {
		m.busy = true
	}
	return next, nil
}

// deliver returns once the assistant's server has the grant.
func (c *crew) deliver(m *member, g *wire.Grant) error {
	ctx, cancel := context.WithTimeout(c.life, sendTime)
	defer cancel()
	body, begin, pause := g.Encode(), time.Now(), reachPause
	for {
		err := c.h.client.Control(ctx, m.ID, occamy.Headers{headerMessage: sayGrant}, body)
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

// farewell is how long the end of a job waits for its assistants to be told.
const farewell = 250 * time.Millisecond

// close takes no more reports, and ends what is sent. dismiss has the assistants
// told that there is nothing left to do; otherwise they wait for the next attempt.
func (c *crew) close(dismiss bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listening() {
		if dismiss {
			c.most = 0 // whoever comes now is told so too
			for _, m := range c.members {
				m.end, m.due = true, true
				c.serve(m)
			}
			late := time.AfterFunc(farewell, c.hangUp)
			defer late.Stop()
		} else {
			c.over = true
			c.hangUp()
		}
		for c.sending > 0 {
			c.changed.Wait()
		}
		c.hangUp()
	}
	c.over = true
	c.changed.Broadcast()
}
