package assist

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

// hiring is how a crew gets its assistants. It is guarded by the crew's lock.
type hiring struct {
	least    int
	needed   map[string]*hired // the needed assistants, by ID
	replaced int               // how many were sent for again
	wait     time.Time         // until when none is sent for
	offered  int               // helpers that were offered and have not come
	declined bool              // fewer were offered than the server asked for
	offer    time.Time         // when the last one was
	help     time.Time         // when the optional request was sent last
}

// hired is an assistant for which a request was sent.
type hired struct {
	here bool
	gone time.Time // since when it is not, having been; zero before
}

// came says whether m is one of those that are needed.
func (h *hiring) came(m *member) bool {
	if !m.needed {
		if !m.root && h.offered > 0 {
			h.offered--
		}
		return false
	}
	n := h.needed[m.ID]
	if n == nil {
		if len(h.needed) >= h.least {
			return false
		}
		n = &hired{} // an earlier attempt has sent for it
		h.needed[m.ID] = n
	}
	n.here = true
	return true
}

func (h *hiring) left(m *member) {
	switch n := h.needed[m.ID]; {
	case n == nil:
	case m.end: // for good, as it was told to
		delete(h.needed, m.ID)
	default:
		n.here, n.gone = false, time.Now()
	}
}

// mostPatience bounds how long one who is gone is waited for.
const mostPatience = time.Minute

// replace forgets those who were there and have not come back for so long, and
// returns their IDs. When that happens often it takes longer and longer.
func (h *hiring) replace(now time.Time, after time.Duration) (ids []string) {
	after = min(after<<min(h.replaced, 10), max(after, mostPatience))
	for id, n := range h.needed {
		if !n.here && !n.gone.IsZero() && now.Sub(n.gone) > after {
			delete(h.needed, id)
			ids = append(ids, id)
		}
	}
	h.replaced += len(ids)
	return ids
}

// awaited is how many have been sent for and are not there.
func (h *hiring) awaited() (n int) {
	for _, a := range h.needed {
		if !a.here {
			n++
		}
	}
	return n
}

// offerTime is how long a helper that was offered may take to come.
const offerTime = time.Second

// room is how many more assistants are welcome. The caller holds the lock.
func (c *crew) room() int {
	n := min(c.most, c.books.useful()) - len(c.members) - c.hiring.awaited()
	if time.Since(c.hiring.offer) < offerTime {
		n -= c.hiring.offered
	}
	return max(n, 0)
}

// expand returns up to n assistants for spare slots of the master's own server.
func (c *crew) expand(n int) []occamy.Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.hiring.offer) >= offerTime {
		c.hiring.offered = 0
	}
	room := 0
	switch {
	case c.h.client == nil || c.lull.on() || c.over:
	case c.listening():
		room = c.room()
	default:
		room = c.most - c.hiring.offered
	}
	c.hiring.declined = room < n
	if n = min(n, room); n > 0 {
		c.hiring.offered += n
		c.hiring.offer = time.Now()
	}
	return c.h.helpers(c.req, c.job, n, &c.lull)
}

// useMore has the server ask again when it was offered less than can be used now.
func (c *crew) useMore(ctx context.Context) {
	c.mu.Lock()
	ask := c.hiring.declined && !c.lull.on() && c.room() > 0
	c.hiring.declined = c.hiring.declined && !ask
	c.mu.Unlock()
	if ask {
		occamy.AskAgain(ctx)
	}
}

// hire sends for the assistants that are missing: a request for each that is
// needed, and an optional one to all servers where more could be used.
func (c *crew) hire(ctx context.Context, now time.Time) {
	c.mu.Lock()
	if c.most == 0 {
		c.mu.Unlock()
		return
	}
	gone := c.hiring.replace(now, c.h.cfg.LeaseTimeout)
	var ids []string
	for !now.Before(c.hiring.wait) && len(c.hiring.needed) < min(c.hiring.least, c.books.useful()) {
		id := c.req.ID + "/n" + randomToken()
		c.hiring.needed[id] = &hired{}
		ids = append(ids, id)
	}
	period := c.h.cfg.HelpPeriod + time.Duration(len(c.req.Body))*10*time.Microsecond
	room := c.room()
	help := room > 0 && now.Sub(c.hiring.help) >= period
	if help {
		c.hiring.help = now
	}
	c.mu.Unlock()
	c.cancel(ctx, gone)
	for _, id := range ids {
		if err := c.need(ctx, id); err != nil && ctx.Err() == nil {
			c.mu.Lock()
			delete(c.hiring.needed, id)
			c.hiring.wait = now.Add(c.h.cfg.HelpPeriod)
			c.mu.Unlock()
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: request for an assistant: %w", c.req.ID, err))
		}
	}
	if help {
		c.welcome(ctx, room)
	}
}

// welcome sends the optional request. It has no deadline, which would also end
// the assistant that is made of it; what starts too late finds no master.
func (c *crew) welcome(ctx context.Context, room int) {
	headers := c.headers()
	headers[headerRoom] = strconv.Itoa(room)
	err := c.h.client.Optional(ctx, broker.Request{
		Kind: c.req.Kind, ID: c.req.ID + "/x", Headers: headers, Body: bytes.Clone(c.req.Body),
	})
	if err != nil && ctx.Err() == nil {
		c.h.cfg.OnError(fmt.Errorf("assist: job %q: optional request: %w", c.req.ID, err))
	}
}

func (c *crew) need(ctx context.Context, id string) error {
	headers := c.headers()
	headers[c.h.cfg.Keys.Outcome] = "false"
	_, err := c.h.client.Submit(ctx, client.Request{
		Kind: c.req.Kind, ID: id, Headers: headers, Body: bytes.Clone(c.req.Body),
	})
	return err
}

// headers are those of a request for an assistant.
func (c *crew) headers() occamy.Headers {
	headers := c.h.ownHeaders(c.req)
	headers[headerMaster] = c.req.ID
	headers[headerJob] = hex.EncodeToString(c.job[:])
	return headers
}

// unhire takes back the requests for assistants that are not there.
func (c *crew) unhire(ctx context.Context) {
	var ids []string
	c.mu.Lock()
	for id, n := range c.hiring.needed {
		if !n.here {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	c.cancel(ctx, ids)
}

func (c *crew) cancel(ctx context.Context, ids []string) {
	for _, id := range ids {
		if err := c.h.client.Cancel(ctx, id); err != nil && ctx.Err() == nil {
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: cancel of an assistant: %w", c.req.ID, err))
		}
	}
}

// lull is a time in which no helpers are offered, since the last ones have ended
// by themselves: others would do the same at once.
type lull struct{ until atomic.Int64 }

func (l *lull) begin(d time.Duration) { l.until.Store(time.Now().Add(d).UnixNano()) }
func (l *lull) on() bool              { return time.Now().UnixNano() < l.until.Load() }
