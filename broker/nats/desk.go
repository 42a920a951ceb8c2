package nats

import (
	"context"
	"fmt"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/internal/packed"
)

// A desk takes what goes to every server that it concerns: control messages,
// commands, optional requests, and questions for the snapshot. One goroutine
// hands messages over, so their order is kept.
type desk struct {
	b    *Broker
	in   occamy.Intake
	mail chan *natsgo.Msg
	told toldReader // only the read goroutine uses it
	stop func()     // of WatchTasks
	quit chan struct{}
	over sync.WaitGroup

	mu      sync.Mutex
	wanted  map[string]int // tasks by ID
	changed []string
	wake    chan struct{}
	ids     map[string]*natsgo.Subscription // of the IDs; only the follow goroutine uses it
	fixed   []*natsgo.Subscription
}

// mailSize is how many messages may wait for the intake, which does not block.
const mailSize = 8192

func (b *Broker) openDesk(ctx context.Context, in occamy.Intake, info occamy.Info) (*desk, error) {
	d := &desk{
		b: b, in: in,
		mail:   make(chan *natsgo.Msg, mailSize),
		quit:   make(chan struct{}),
		wanted: make(map[string]int),
		wake:   make(chan struct{}, 1),
		ids:    make(map[string]*natsgo.Subscription),
	}
	subjects := []string{b.names.command}
	for _, kind := range info.Kinds {
		subjects = append(subjects, b.names.optional(kind))
	}
	for _, subject := range subjects {
		sub, err := b.nc.ChanSubscribe(subject, d.mail)
		if err != nil {
			d.leave()
			return nil, fmt.Errorf("nats: consume: %w", b.publishError(err))
		}
		d.fixed = append(d.fixed, sub)
	}
	sub, err := b.nc.Subscribe(b.names.servers, d.answer)
	if err != nil {
		d.leave()
		return nil, fmt.Errorf("nats: consume: %w", b.publishError(err))
	}
	d.fixed = append(d.fixed, sub)

	d.over.Go(d.read)
	d.over.Go(d.follow)
	d.stop = in.WatchTasks(d)
	return d, nil
}

func (d *desk) close() {
	d.stop()
	close(d.quit)
	d.over.Wait()
	d.leave()
}

func (d *desk) leave() {
	for _, sub := range d.fixed {
		_ = sub.Unsubscribe() // fails only when the connection is gone, and the subscription with it
	}
	for _, sub := range d.ids {
		_ = sub.Unsubscribe()
	}
}

func (d *desk) uses(subject string) bool {
	for _, sub := range d.fixed {
		if sub.Subject == subject {
			return true
		}
	}
	return false
}

// TaskPlaced implements occamy.TaskWatcher.
func (d *desk) TaskPlaced(id string) { d.want(id, 1) }

// TaskGone implements occamy.TaskWatcher.
func (d *desk) TaskGone(id string) { d.want(id, -1) }

func (d *desk) want(id string, change int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.wanted[id] + change
	if n > 0 {
		d.wanted[id] = n
	} else {
		delete(d.wanted, id)
	}
	if n == 0 || n == 1 && change > 0 {
		d.changed = append(d.changed, id)
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// follow subscribes for the IDs of running tasks, in the background, so that a
// task which ends at once costs nothing.
func (d *desk) follow() {
	for {
		select {
		case <-d.quit:
			return
		case <-d.wake:
		}
		d.mu.Lock()
		changed := d.changed
		d.changed = nil
		d.mu.Unlock()
		for _, id := range changed {
			d.mu.Lock()
			want := d.wanted[id] > 0
			d.mu.Unlock()
			d.set(id, want)
		}
	}
}

func (d *desk) set(id string, want bool) {
	sub, has := d.ids[id]
	switch {
	case want && !has:
		sub, err := d.b.nc.ChanSubscribe(d.b.names.control(id), d.mail)
		if err != nil {
			d.b.cfg.OnError(fmt.Errorf("nats: take control messages for %q: %w", id, err))
			return
		}
		d.ids[id] = sub
	case !want && has:
		_ = sub.Unsubscribe() // as in leave
		delete(d.ids, id)
	}
}

func (d *desk) read() {
	for {
		select {
		case m := <-d.mail:
			d.take(m)
		case <-d.quit:
			return
		}
	}
}

func (d *desk) take(m *natsgo.Msg) {
	if first(m.Header, hdrPresence) != "" {
		d.confirm(m)
		return
	}
	c, err := d.controlMessageOf(m)
	if err != nil {
		d.b.cfg.OnError(err)
		return
	}
	d.in.HandleControl(c)
	if m.Reply != "" && m.Reply != d.b.names.told {
		d.confirm(m)
	}
}

// confirm answers: whoever gets no answer is told that nobody took it.
func (d *desk) confirm(m *natsgo.Msg) {
	if err := m.Respond([]byte("+OK")); err != nil {
		d.b.cfg.OnError(fmt.Errorf("nats: confirm a control message: %w", err))
	}
}

// controlMessage is a control message: nobody keeps it, so there is nothing to
// settle.
type controlMessage struct {
	headers occamy.Headers
	body    []byte
}

func (m *controlMessage) Headers() occamy.Headers            { return m.headers }
func (m *controlMessage) Body() []byte                       { return m.body }
func (m *controlMessage) Ack(context.Context) error          { return nil }
func (m *controlMessage) Reject(context.Context, bool) error { return nil }
func (m *controlMessage) Unkept()                            {}

// answer gives the snapshot to whoever asks.
func (d *desk) answer(m *natsgo.Msg) {
	body, err := packed.Marshal(d.in.Snapshot())
	if err == nil {
		err = m.Respond(body)
	}
	if err != nil {
		d.b.cfg.OnError(fmt.Errorf("nats: send the snapshot: %w", err))
	}
}

// Servers implements broker.Broker.
func (b *Broker) Servers(ctx context.Context, wait time.Duration) ([]occamy.Snapshot, error) {
	if err := b.usable(); err != nil {
		return nil, err
	}
	answers := make(chan *natsgo.Msg, mailSize)
	inbox := b.nc.NewInbox()
	sub, err := b.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, b.publishError(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	err = b.retry(ctx, func() error { return b.publishErrorOrNil(b.nc.PublishRequest(b.names.servers, inbox, nil)) })
	if err != nil {
		return nil, err
	}
	return b.gather(ctx, answers, wait)
}

func (b *Broker) publishErrorOrNil(err error) error {
	if err == nil {
		return nil
	}
	return b.publishError(err)
}

func (b *Broker) gather(ctx context.Context, answers <-chan *natsgo.Msg, wait time.Duration) ([]occamy.Snapshot, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	byID := make(map[string]occamy.Snapshot)
	for {
		select {
		case m := <-answers:
			if first(m.Header, "Status") == "503" {
				return []occamy.Snapshot{}, nil // nobody is there, as NATS knows at once
			}
			var s occamy.Snapshot
			if err := packed.Unmarshal(m.Data, &s); err != nil {
				b.cfg.OnError(fmt.Errorf("nats: unreadable snapshot: %w", err))
				continue
			}
			byID[s.Server] = s
		case <-over.C:
			return sortedSnapshots(byID), nil
		case <-b.done:
			return nil, broker.ErrClosed
		case <-ctx.Done():
			return nil, fmt.Errorf("nats: %w", ctx.Err())
		}
	}
}
