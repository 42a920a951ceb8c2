package memory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// TaskPlaced implements occamy.TaskWatcher.
func (c *consumer) TaskPlaced(id string) {
	w := c.conn.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.gone {
		return
	}
	c.tasks[id]++
	if c.tasks[id] == 1 {
		w.running[id] = append(w.running[id], c)
	}
}

// TaskGone implements occamy.TaskWatcher.
func (c *consumer) TaskGone(id string) {
	w := c.conn.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.gone {
		return
	}
	c.tasks[id]--
	if c.tasks[id] == 0 {
		delete(c.tasks, id)
		w.unroute(id, c)
	}
}

func (w *world) unroute(id string, c *consumer) {
	w.running[id] = without(w.running[id], c)
	if len(w.running[id]) == 0 {
		delete(w.running, id)
	}
}

// controlMessage is a control message for one server. Nobody waits for what
// becomes of it.
type controlMessage struct {
	headers occamy.Headers
	body    []byte
}

func (m *controlMessage) Headers() occamy.Headers            { return m.headers }
func (m *controlMessage) Body() []byte                       { return m.body }
func (m *controlMessage) Ack(context.Context) error          { return nil }
func (m *controlMessage) Reject(context.Context, bool) error { return nil }
func (m *controlMessage) Unkept()                            {}

// reach returns how many of the consumers took the message.
func (m *controlMessage) reach(consumers []*consumer) (n int) {
	for _, c := range consumers {
		c.feeding.Lock()
		if !c.ended {
			c.in.HandleControl(m)
			n++
		}
		c.feeding.Unlock()
	}
	return n
}

// reachable returns those of the consumers whose connection is there.
func reachable(consumers []*consumer, also func(*consumer) bool) (is []*consumer) {
	for _, c := range consumers {
		if c.conn.usable() && also(c) {
			is = append(is, c)
		}
	}
	return is
}

func anyConsumer(*consumer) bool { return true }

// Control implements broker.Broker.
func (b *Broker) Control(ctx context.Context, id string, headers occamy.Headers, body []byte) error {
	w := b.world
	if err := errors.Join(broker.CheckID(id), broker.CheckHeaders(headers), w.fits("control message", len(body))); err != nil {
		return err
	}
	h := make(occamy.Headers, len(headers)+1)
	maps.Copy(h, headers)
	delete(h, w.opts.Keys.Command)
	h[w.opts.Keys.TaskID] = id
	if err := b.enter(ctx); err != nil {
		return err
	}
	to := reachable(w.running[id], anyConsumer)
	w.mu.Unlock()
	if (&controlMessage{h, bytes.Clone(body)}).reach(to) == 0 {
		return broker.ErrNobody
	}
	return nil
}

// Optional implements broker.Broker.
func (b *Broker) Optional(ctx context.Context, r broker.Request) error {
	w := b.world
	if err := errors.Join(r.CheckOptional(), w.fits("optional request", len(r.Body))); err != nil {
		return err
	}
	h := r.WithKeys(w.opts.Keys)
	delete(h, w.opts.Keys.TaskID)
	delete(h, w.opts.Keys.Command)
	if err := b.enter(ctx); err != nil {
		return err
	}
	to := reachable(w.consumers, func(c *consumer) bool { return slices.Contains(c.info.Kinds, r.Kind) })
	w.mu.Unlock()
	(&controlMessage{h, bytes.Clone(r.Body)}).reach(to)
	return nil
}

// Command implements broker.Broker.
func (b *Broker) Command(ctx context.Context, headers occamy.Headers) error {
	if err := broker.CheckHeaders(headers); err != nil {
		return err
	}
	if err := b.enter(ctx); err != nil {
		return err
	}
	to := reachable(b.world.consumers, anyConsumer)
	b.world.mu.Unlock()
	(&controlMessage{maps.Clone(headers), nil}).reach(to)
	return nil
}

// Servers implements broker.Broker. It asks one after the other and does not
// need wait: the servers are in this process.
func (b *Broker) Servers(ctx context.Context, _ time.Duration) ([]occamy.Snapshot, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	to := reachable(b.world.consumers, anyConsumer)
	b.world.mu.Unlock()
	seen := make(map[string]bool)
	var all []occamy.Snapshot
	for _, c := range to {
		if !seen[c.info.ID] {
			seen[c.info.ID] = true
			all = append(all, c.in.Snapshot())
		}
	}
	slices.SortFunc(all, func(a, b occamy.Snapshot) int { return cmp.Compare(a.Server, b.Server) })
	return all, nil
}
