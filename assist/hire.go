package assist

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

// hiring is how a crew gets its assistants. It is guarded by the crew's lock.
type hiring struct {
	least   int
	needed  map[string]bool // the needed assistants, by ID: whether one has come
	offered int             // helpers that were offered and have not come
	offer   time.Time       // when the last one was
	help    time.Time       // when the optional request was sent last
}

func (h *hiring) came(m *member) {
	switch {
	case m.needed:
		h.needed[m.ID] = true
	case !m.root && h.offered > 0:
		h.offered--
	}
}

// offerTime is how long a helper that was offered may take to come.
const offerTime = time.Second

// room is how many more assistants are welcome. The caller holds the lock.
func (c *crew) room() int {
	n := min(c.most, c.books.useful()) - len(c.members)
	for _, came := range c.hiring.needed {
		if !came {
			n--
		}
	}
	if time.Since(c.hiring.offer) < offerTime {
		n -= c.hiring.offered
	}
	return max(n, 0)
}

// expand returns up to n assistants for spare slots of the master's own server.
func (c *crew) expand(n int) []occamy.Task {
	if c.h.client == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over:
		return nil
	case time.Since(c.hiring.offer) >= offerTime:
		c.hiring.offered = 0
	}
	if c.listening() {
		n = min(n, c.room())
	} else {
		n = min(n, c.most-c.hiring.offered)
	}
	if n > 0 {
		c.hiring.offered += n
		c.hiring.offer = time.Now()
	}
	return c.h.helpers(c.req, c.job, n)
}

// hire sends for the assistants that are missing: a request for each that is
// needed, and an optional one to all servers where more could be used.
func (c *crew) hire(ctx context.Context, now time.Time) {
	if c.most == 0 {
		return
	}
	var ids []string
	c.mu.Lock()
	for len(c.hiring.needed) < c.hiring.least {
		id := c.req.ID + "/n" + randomToken()
		c.hiring.needed[id] = false
		ids = append(ids, id)
	}
	period := c.h.cfg.HelpPeriod + time.Duration(len(c.req.Body))*10*time.Microsecond
	room := c.room()
	help := room > 0 && now.Sub(c.hiring.help) >= period
	if help {
		c.hiring.help = now
	}
	c.mu.Unlock()
	for _, id := range ids {
		if err := c.need(ctx, id); err != nil && ctx.Err() == nil {
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: request for an assistant: %w", c.req.ID, err))
			c.mu.Lock()
			delete(c.hiring.needed, id)
			c.mu.Unlock()
		}
	}
	if help {
		headers := c.headers()
		headers[headerRoom] = strconv.Itoa(room)
		headers[c.h.cfg.Keys.Deadline] = now.Add(3 * period).UTC().Format(time.RFC3339Nano)
		err := c.h.client.Optional(ctx, broker.Request{
			Kind: c.req.Kind, ID: c.req.ID + "/x", Headers: headers, Body: bytes.Clone(c.req.Body),
		})
		if err != nil && ctx.Err() == nil {
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: optional request: %w", c.req.ID, err))
		}
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

// unhire takes back the requests for assistants that have not come.
func (c *crew) unhire(ctx context.Context) {
	var ids []string
	c.mu.Lock()
	for id, came := range c.hiring.needed {
		if !came {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	for _, id := range ids {
		if err := c.h.client.Cancel(ctx, id); err != nil && ctx.Err() == nil {
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: cancel of an assistant: %w", c.req.ID, err))
		}
	}
}
