package rabbitmq

import (
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// keys are the routing keys by which a mailbox is to be bound, each as long as
// somebody wants it. A binding costs the broker more than a message, so it is
// made in the background, and not for what is wanted for shorter than delay.
type keys struct {
	exchange string
	delay    time.Duration
	bound    func(key string) // told of each binding that is made; nil: nobody is

	mu      sync.Mutex
	wanted  map[string]*wanted
	changed []change // in the order in which they are due, or nearly so
	session *binding // nil: none
}

// binding is the work on one connection.
type binding struct {
	wake chan struct{} // holds one
}

type wanted struct {
	by    int // how many want it
	bound bool
}

type change struct {
	key string
	due time.Time
}

func newKeys(exchange string, delay time.Duration, bound func(key string)) *keys {
	return &keys{exchange: exchange, delay: delay, bound: bound, wanted: make(map[string]*wanted)}
}

// want has the mailbox bound by a key until drop is called. bound is called
// for it even where it is bound already.
func (k *keys) want(key string) {
	k.mu.Lock()
	w := k.wanted[key]
	if w == nil {
		w = &wanted{}
		k.wanted[key] = w
	}
	w.by++
	if w.by == 1 {
		k.change(key, time.Now().Add(k.delay))
	}
	bound := w.bound
	k.mu.Unlock()
	if bound && k.bound != nil {
		k.bound(key)
	}
}

func (k *keys) drop(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.wanted[key]
	if w == nil || w.by == 0 {
		return
	}
	if w.by--; w.by == 0 {
		k.change(key, time.Now())
	}
}

// change has the session look at a key. Without one the next begins with all
// that is wanted then.
func (k *keys) change(key string, due time.Time) {
	if k.session == nil {
		if k.wanted[key].by == 0 {
			delete(k.wanted, key)
		}
		return
	}
	k.changed = append(k.changed, change{key, due})
	signal(k.session.wake)
}

// begin starts a session, in which nothing is bound yet.
func (k *keys) begin() *binding {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session, k.changed = &binding{wake: make(chan struct{}, 1)}, nil
	now := time.Now()
	for key, w := range k.wanted {
		w.bound = false
		if w.by == 0 {
			delete(k.wanted, key)
			continue
		}
		k.change(key, now)
	}
	return k.session
}

func (k *keys) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session, k.changed = nil, nil
	for key, w := range k.wanted {
		w.bound = false
		if w.by == 0 {
			delete(k.wanted, key)
		}
	}
}

// next returns a key that is due, or how long to wait for one (0: until wake).
func (k *keys) next(session *binding, now time.Time) (key string, wait time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.session != session || len(k.changed) == 0 {
		return "", 0, false
	}
	c := k.changed[0]
	if wait := c.due.Sub(now); wait > 0 {
		return "", wait, false
	}
	if k.changed = k.changed[1:]; len(k.changed) == 0 {
		k.changed = nil
	}
	return c.key, 0, true
}

// bindings is what a channel can do about bindings.
type bindings interface {
	QueueBind(queue, key, exchange string, noWait bool, args amqp.Table) error
	QueueUnbind(queue, key, exchange string, args amqp.Table) error
}

var _ bindings = (*amqp.Channel)(nil)

// follow binds and unbinds a queue until quit is closed, or a binding fails, or
// another session has begun.
func (k *keys) follow(session *binding, ch bindings, queue string, quit <-chan struct{}) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-quit:
			return nil
		default:
		}
		key, wait, ok := k.next(session, time.Now())
		if ok {
			if err := k.set(session, ch, queue, key); err != nil {
				return err
			}
			continue
		}
		if wait <= 0 {
			wait = time.Hour // until wake
		}
		timer.Reset(wait)
		select {
		case <-quit:
			return nil
		case <-session.wake:
		case <-timer.C:
		}
	}
}

func (k *keys) set(session *binding, ch bindings, queue, key string) error {
	k.mu.Lock()
	w := k.wanted[key]
	if k.session != session || w == nil {
		k.mu.Unlock()
		return nil
	}
	want, has := w.by > 0, w.bound
	if !want && !has {
		delete(k.wanted, key)
	}
	k.mu.Unlock()
	var err error
	switch {
	case want && !has:
		err = ch.QueueBind(queue, key, k.exchange, false, nil)
	case !want && has:
		err = ch.QueueUnbind(queue, key, k.exchange, nil)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	k.mu.Lock()
	current := k.session == session // else w is another session's
	if current {
		w.bound = want
		if !want && w.by == 0 {
			delete(k.wanted, key)
		}
	}
	k.mu.Unlock()
	if want && current && k.bound != nil {
		k.bound(key)
	}
	return nil
}
