package memory

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/occamy-go/occamy/broker"
)

var _ broker.Feed = (*Broker)(nil)

// maxHeard is how many announcements may wait for a listener.
const maxHeard = 4096

// listener takes the announcements of a topic. Its goroutine lives while there
// are any.
type listener struct {
	ctx  context.Context // of Listen
	conn *Broker
	take func([]byte)

	mu      sync.Mutex
	queue   [][]byte // guarded by mu
	running bool     // guarded by mu
	gone    bool     // guarded by mu
}

// Announce implements broker.Feed.
func (b *Broker) Announce(ctx context.Context, topic string, body []byte) error {
	if err := broker.CheckTopic(topic); err != nil {
		return err
	}
	w := b.world
	if err := w.fits("announcement", len(body)); err != nil {
		return err
	}
	if err := b.enter(ctx); err != nil {
		return err
	}
	var to []*listener
	for _, l := range w.listeners[topic] {
		if l.conn.usable() {
			to = append(to, l)
		}
	}
	w.mu.Unlock()
	for _, l := range to {
		l.put(bytes.Clone(body))
	}
	return nil
}

// Listen implements broker.Feed.
func (b *Broker) Listen(ctx context.Context, topic string, take func(body []byte)) error {
	if err := broker.CheckTopic(topic); err != nil {
		return err
	}
	if err := b.enter(ctx); err != nil {
		return err
	}
	w, l := b.world, &listener{ctx: ctx, conn: b, take: take}
	if w.listeners == nil {
		w.listeners = make(map[string][]*listener)
	}
	w.listeners[topic] = append(w.listeners[topic], l)
	w.mu.Unlock()
	leave := sync.OnceFunc(func() { w.leave(topic, l) })
	context.AfterFunc(ctx, leave)
	context.AfterFunc(b.life, leave)
	return nil
}

func (w *world) leave(topic string, l *listener) {
	w.mu.Lock()
	w.listeners[topic] = slices.DeleteFunc(w.listeners[topic], func(o *listener) bool { return o == l })
	w.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone, l.queue = true, nil
}

func (l *listener) put(body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone || len(l.queue) == maxHeard {
		return
	}
	l.queue = append(l.queue, body)
	if !l.running {
		l.running = true
		go l.run()
	}
}

func (l *listener) run() {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.running = false
			l.mu.Unlock()
			return
		}
		body := l.queue[0]
		l.queue = l.queue[1:]
		l.mu.Unlock()
		if l.ctx.Err() == nil {
			l.take(body)
		}
	}
}
