package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker"
)

var (
	// errCut: the connection or the channel broke before the answer came.
	errCut = errors.New("rabbitmq: connection lost")
	// errBlocked: the broker takes no messages now.
	errBlocked = errors.New("rabbitmq: the broker takes no messages now")
)

// link is a connection that comes back by itself. A broker has two, so that a
// connection whose publishing the broker blocks carries no ack.
type link struct {
	b    *Broker
	role string

	mu     sync.Mutex
	conn   *amqp.Connection // nil while there is none
	raw    net.Conn
	epoch  uint64        // how many connections there have been
	up     chan struct{} // closed while connected
	free   chan struct{} // closed while the broker takes messages
	isFree bool
	why    string        // it takes none
	over   chan struct{} // closed when the connection is gone for good
	err    error         // why, once over is closed
	last   error         // what went wrong last, for who waits in vain
}

func newLink(b *Broker, role string) *link {
	l := &link{
		b: b, role: role, up: make(chan struct{}), free: make(chan struct{}), isFree: true,
		over: make(chan struct{}),
	}
	close(l.free)
	return l
}

// reconnectDelay is an eighth of the time for which there has been no
// connection, between 50 ms and 10 s, by a quarter up or down at random so that
// servers do not come back in step.
func reconnectDelay(down time.Duration) time.Duration {
	d := min(max(down/8, 50*time.Millisecond), 10*time.Second)
	return d - d/4 + rand.N(d/2)
}

// run keeps the connection until ctx ends.
func (l *link) run(ctx context.Context) {
	next := rand.IntN(len(l.b.addresses))
	down := time.Now()
	for ctx.Err() == nil {
		a := l.b.addresses[next%len(l.b.addresses)]
		next++
		l.trying(a)
		conn, raw, err := l.b.cfg.dial(ctx, a, l.role)
		if err == nil {
			l.hold(ctx, a, conn, raw)
			down = time.Now()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		err = fmt.Errorf("rabbitmq: connect to %s: %w%s", a, err, hint(err))
		if l.failed(err) {
			return
		}
		wait := time.NewTimer(reconnectDelay(time.Since(down)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// trying notes where the first try goes, for who gives up meanwhile.
func (l *link) trying(a address) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil && l.epoch == 0 {
		l.last = fmt.Errorf("rabbitmq: connect to %s: %w", a, errMute)
	}
}

// failed notes a try in vain. It says whether to give up: when the broker
// refuses the first connection.
func (l *link) failed(err error) (final bool) {
	l.mu.Lock()
	l.last = err
	final = l.epoch == 0 && refused(err) && !l.b.cfg.Background
	told := l.epoch > 0 || l.b.cfg.Background
	l.mu.Unlock()
	if final {
		l.b.setOver(err)
	}
	if told && refused(err) {
		l.b.cfg.OnError(err)
	}
	return final
}

// closeTime is how long the broker may take to say goodbye.
const closeTime = 2 * time.Second

// hold keeps conn until it breaks or ctx ends.
func (l *link) hold(ctx context.Context, a address, conn *amqp.Connection, raw net.Conn) {
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	l.setUp(conn, raw)
	l.b.outage.back(l)
	for {
		select {
		case n, ok := <-blocked:
			if !ok {
				blocked = nil
				continue
			}
			l.setFree(!n.Active, n.Reason)
		case e := <-closed:
			l.setDown(e)
			if ctx.Err() == nil {
				l.b.outage.lost(l, reasonOf(e))
				l.b.cfg.OnError(l.lostError(a, e))
			}
			return
		case <-ctx.Done():
			l.setDown(nil)
			late := time.AfterFunc(closeTime, func() { _ = raw.Close() }) // one that is blocked is not heard
			defer late.Stop()
			_ = conn.Close() // it is gone in any case
			return
		}
	}
}

// reasonOf says why a connection has ended; e may be nil.
func reasonOf(e *amqp.Error) error {
	if e == nil {
		return errCut
	}
	return e
}

func (l *link) lostError(a address, e *amqp.Error) error {
	if e == nil {
		return fmt.Errorf("rabbitmq: connection to %s (%s) lost; trying again until it is back", a, l.role)
	}
	return fmt.Errorf("rabbitmq: connection to %s (%s) lost; trying again until it is back: %w", a, l.role, e)
}

func (l *link) setUp(conn *amqp.Connection, raw net.Conn) {
	l.b.setup.reset() // the broker may come back with another store
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.raw, l.last = conn, raw, nil
	l.epoch++
	close(l.up)
}

func (l *link) setDown(e *amqp.Error) {
	l.setFree(true, "")
	l.mu.Lock()
	defer l.mu.Unlock()
	if e != nil {
		l.last = e
	}
	l.conn, l.raw = nil, nil
	l.up = make(chan struct{})
}

// drop breaks the connection, so that another is made.
func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.raw != nil {
		_ = l.raw.Close()
	}
}

func (l *link) setFree(free bool, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = why
	if free == l.isFree {
		return
	}
	l.isFree = free
	if free {
		close(l.free)
	} else {
		l.free = make(chan struct{})
	}
}

// blocked returns why the broker takes no messages; nil when it does.
func (l *link) blocked() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isFree {
		return nil
	}
	return fmt.Errorf("%w: %s", errBlocked, l.why)
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

// closed returns why the connection is gone for good; only once over is closed.
func (l *link) closed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// wait returns the connection once there is one.
func (l *link) wait(ctx context.Context) (*amqp.Connection, error) {
	for {
		l.mu.Lock()
		conn, up := l.conn, l.up
		l.mu.Unlock()
		select {
		case <-l.over:
			return nil, l.closed()
		default:
		}
		if conn != nil && ctx.Err() == nil {
			return conn, nil
		}
		select {
		case <-up:
			if err := ctx.Err(); err != nil {
				return nil, l.inVain(ctx)
			}
		case <-l.over:
			return nil, l.closed()
		case <-ctx.Done():
			return nil, l.inVain(ctx)
		}
	}
}

// pause waits before another try: for d, and then for a connection.
func (l *link) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		_, err := l.wait(ctx)
		return err
	case <-l.over:
		return l.closed()
	case <-ctx.Done():
		return ended(ctx)
	}
}

func (l *link) inVain(ctx context.Context) error {
	l.mu.Lock()
	last := l.last
	l.mu.Unlock()
	return inVain(ctx, last)
}

// inVain says why ctx ended before there was an answer.
func inVain(ctx context.Context, last error) error {
	err := ended(ctx)
	switch {
	case last == nil:
		return fmt.Errorf("rabbitmq: %w", err)
	case errors.Is(last, err):
		return last // it says so itself
	}
	return fmt.Errorf("rabbitmq: %w; the last try: %w", err, last)
}

// ended is ctx's error, or ErrClosed where Close ended it.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, broker.ErrClosed) {
		return cause
	}
	return ctx.Err()
}
