package nats

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker"
)

var (
	// errDown: nothing was sent, since there is no connection now.
	errDown = errors.New("nats: not connected")
	// errCut: the connection broke before the answer came.
	errCut = errors.New("nats: connection lost")
)

// link is the state of the connection as everything else sees it.
type link struct {
	mu        sync.Mutex
	up        chan struct{} // closed while connected
	lost      chan struct{} // closed once the newest connection is lost
	connected bool
	over      chan struct{} // closed when the connection is gone for good
	err       error         // why, once over is closed
	last      error         // what went wrong last, for who waits in vain
	told      string        // of what went wrong during this outage
	watchers  map[*linkWatcher]struct{}
}

// A linkWatcher learns of each new connection and of refusals.
type linkWatcher struct {
	connected chan struct{} // holds one token after a new connection
	refused   func(subject string, err error)
}

func newLink() *link {
	return &link{up: make(chan struct{}), over: make(chan struct{}), watchers: make(map[*linkWatcher]struct{})}
}

func (l *link) setUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.connected {
		l.connected, l.told = true, ""
		l.lost = make(chan struct{})
		close(l.up)
	}
	for w := range l.watchers {
		select {
		case w.connected <- struct{}{}:
		default:
		}
	}
}

func (l *link) setDown(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.last = err
	}
	if l.connected {
		l.connected = false
		l.up = make(chan struct{})
		close(l.lost)
	}
}

func (l *link) setOver(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.over:
	default:
		l.err = err
		close(l.over)
	}
}

func (l *link) setLast(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.last = err
	}
}

// news says whether something was not told during this outage.
func (l *link) news(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == text {
		return false
	}
	l.told = text
	return true
}

// closed returns why the connection is gone for good; only once over is closed.
func (l *link) closed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *link) watch(refused func(string, error)) *linkWatcher {
	w := &linkWatcher{connected: make(chan struct{}, 1), refused: refused}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers[w] = struct{}{}
	return w
}

func (l *link) unwatch(w *linkWatcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watchers, w)
}

// wait returns nil once there is a connection.
func (l *link) wait(ctx context.Context) error {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	select {
	case <-l.over:
		return l.closed()
	default:
	}
	select {
	case <-up:
		return nil
	case <-l.over:
		return l.closed()
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		return inVain(ctx, l.last)
	}
}

// pause waits before another try: for d, and then for a connection.
func (l *link) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return l.wait(ctx)
	case <-l.over:
		return l.closed()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inVain says why ctx ended before there was an answer.
func inVain(ctx context.Context, last error) error {
	if last == nil || errors.Is(last, ctx.Err()) {
		return fmt.Errorf("nats: %w", ctx.Err())
	}
	return fmt.Errorf("nats: %w; the last try: %w", ctx.Err(), last)
}

var quotedSubject = regexp.MustCompile(`(?i)(?:publish|subscription) to "([^"]+)"`)

// isSubscription: the permission that NATS refused was to hear, not to say.
func isSubscription(err error) bool {
	return strings.Contains(strings.ToLower(err.Error()), `subscription to "`)
}

// refuse passes a permission that NATS refused on to whom it concerns.
func (l *link) refuse(err error) (subject string, ok bool) {
	match := quotedSubject.FindStringSubmatch(err.Error())
	if match == nil {
		return "", false
	}
	l.mu.Lock()
	var tell []*linkWatcher
	for w := range l.watchers {
		if w.refused != nil {
			tell = append(tell, w)
		}
	}
	l.mu.Unlock()
	for _, w := range tell {
		w.refused(match[1], err)
	}
	return match[1], true
}

// lostError is what OnError is told when the connection is lost.
func (b *Broker) lostError(err error) error {
	if err == nil {
		return fmt.Errorf("connection to %s lost; trying again until it is back", b.Name())
	}
	return fmt.Errorf("connection to %s lost; trying again until it is back: %w", b.Name(), err)
}

// tried takes the error of a try to connect. The first connection is not waited
// for when only a change of the configuration can bring it; a later one is.
func (b *Broker) tried(err error) {
	if err == nil {
		return
	}
	err, final := b.cfg.refused(err)
	b.link.setLast(err)
	switch {
	case final && b.opening.Load():
		b.link.setOver(err)
	case final && b.link.news(err.Error()):
		b.cfg.OnError(fmt.Errorf("nats: connect to %s: %w", b.Name(), err))
	}
}

// handlers sets the connection's handlers, after those that the user gave.
func (b *Broker) handlers(o *natsgo.Options) {
	userUp, userFirst, userDown, userOver, userTry, userErr :=
		o.ReconnectedCB, o.ConnectedCB, o.DisconnectedErrCB, o.ClosedCB, o.ReconnectErrCB, o.AsyncErrorCB
	var down outage
	wait := down.wait
	if o.CustomReconnectDelayCB != nil {
		wait = o.CustomReconnectDelayCB
	}
	o.CustomReconnectDelayCB = func(rounds int) time.Duration {
		if nc := b.conn.Load(); nc != nil {
			b.tried(nc.LastError()) // NATS told of the try before that
		}
		return wait(rounds)
	}
	connected := func() {
		b.opening.Store(false)
		b.calls.allow()
		b.link.setUp()
	}
	o.ConnectedCB = func(nc *natsgo.Conn) {
		if userFirst != nil {
			userFirst(nc)
		}
		connected()
	}
	o.ReconnectedCB = func(nc *natsgo.Conn) {
		if userUp != nil {
			userUp(nc)
		}
		connected()
	}
	o.DisconnectedErrCB = func(nc *natsgo.Conn, err error) {
		if userDown != nil {
			userDown(nc, err)
		}
		err = b.cfg.scrub(err)
		b.link.setDown(err)
		if !b.closing.Load() {
			b.cfg.OnError(b.lostError(err))
		}
		b.setup.doubt() // NATS may come back with another store
		b.calls.failAll(errCut)
	}
	o.ReconnectErrCB = func(nc *natsgo.Conn, err error) {
		if userTry != nil {
			userTry(nc, err)
		}
		b.tried(err)
	}
	o.ClosedCB = func(nc *natsgo.Conn) {
		if userOver != nil {
			userOver(nc)
		}
		err := broker.ErrClosed
		if last := nc.LastError(); !b.closing.Load() && last != nil {
			last, _ = b.cfg.refused(last)
			err = fmt.Errorf("nats: connection refused for good by %s: %w", b.Name(), last)
		}
		b.link.setOver(err)
		b.calls.failAll(err)
	}
	o.AsyncErrorCB = func(nc *natsgo.Conn, sub *natsgo.Subscription, err error) {
		if userErr != nil {
			userErr(nc, sub, err)
		}
		err = b.cfg.scrub(err)
		b.link.setLast(err)
		if errors.Is(err, natsgo.ErrPermissionViolation) {
			if subject, ok := b.link.refuse(err); ok {
				b.calls.fail(subject, fmt.Errorf("nats: %w", err))
			}
		}
		b.cfg.OnError(fmt.Errorf("nats: %w", err))
	}
}
