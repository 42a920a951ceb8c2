package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// tryTime is how long one try of a request waits for its answer. A NATS server
// answers at once; an answer that is late was lost, for instance with the
// leader of a stream.
const tryTime = 5 * time.Second

var (
	// errNobody: nobody listens to the subject of a request.
	errNobody = errors.New("nats: no responders")
	errNoWord = errors.New("nats: no answer in time")
)

// calls are the requests that wait for an answer, all over one subscription.
type calls struct {
	mu      sync.Mutex
	inbox   string // with the dot at its end
	next    uint64
	waiting map[uint64]*call
	refused error // the account may not read the answers
	pool    sync.Pool
}

type call struct {
	subject string
	answer  chan answer // holds one
	timer   *time.Timer
}

type answer struct {
	msg *natsgo.Msg
	err error
}

func newCalls() *calls {
	return &calls{waiting: make(map[uint64]*call), pool: sync.Pool{New: func() any {
		t := time.NewTimer(time.Hour)
		t.Stop()
		return &call{answer: make(chan answer, 1), timer: t}
	}}}
}

func (c *calls) listen(nc *natsgo.Conn) error {
	c.inbox = nc.NewInbox() + "."
	sub, err := nc.Subscribe(c.inbox+"*", c.arrived)
	if err != nil {
		return fmt.Errorf("nats: subscribe to answers: %w", err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return fmt.Errorf("nats: subscribe to answers: %w", err)
	}
	return nil
}

func (c *calls) arrived(m *natsgo.Msg) {
	n, err := strconv.ParseUint(lastToken(m.Subject), 36, 64)
	if err != nil {
		return
	}
	a := answer{msg: m}
	if len(m.Data) == 0 && len(m.Header) > 0 && first(m.Header, "Status") == "503" {
		a = answer{err: errNobody}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waiting[n]; w != nil {
		delete(c.waiting, n)
		w.answer <- a
	}
}

// failAll ends all calls that wait.
func (c *calls) failAll(err error) { c.failIf(func(*call) bool { return true }, err) }

// allow: with a new connection there may be other permissions.
func (c *calls) allow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = nil
}

// fail ends the calls to a subject that NATS refuses; all, when it is that of
// their answers.
func (c *calls) fail(subject string, err error) {
	if subject == c.inbox+"*" {
		c.mu.Lock()
		c.refused = err
		c.mu.Unlock()
		c.failAll(err)
		return
	}
	c.failIf(func(w *call) bool { return w.subject == subject }, err)
}

func (c *calls) failIf(match func(*call) bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, w := range c.waiting {
		if match(w) {
			delete(c.waiting, n)
			w.answer <- answer{err: err}
		}
	}
}

// ask sends one request and waits for its answer. It gives errDown, errCut, errNobody,
// errNoWord, ctx's error, and what NATS refuses.
func (b *Broker) ask(ctx context.Context, subject string, h natsgo.Header, data []byte, wait time.Duration) (*natsgo.Msg, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := b.calls
	w := c.pool.Get().(*call)
	w.subject = subject
	c.mu.Lock()
	err := c.refused
	c.next++
	n := c.next
	c.waiting[n] = w
	c.mu.Unlock()
	if err != nil {
		c.drop(n, w)
		return nil, err
	}

	err = b.nc.PublishMsg(&natsgo.Msg{Subject: subject, Reply: c.inbox + strconv.FormatUint(n, 36), Header: h, Data: data})
	if err != nil {
		c.drop(n, w)
		return nil, b.publishError(err)
	}
	w.timer.Reset(wait)
	var a answer
	select {
	case a = <-w.answer:
	case <-w.timer.C:
		a.err = errNoWord
	case <-ctx.Done():
		a.err = ctx.Err()
	}
	c.drop(n, w)
	return a.msg, a.err
}

// drop makes w free for another call.
func (c *calls) drop(n uint64, w *call) {
	w.timer.Stop()
	c.mu.Lock()
	delete(c.waiting, n)
	c.mu.Unlock()
	select {
	case <-w.answer:
	default:
	}
	c.pool.Put(w)
}

func (b *Broker) publishError(err error) error {
	switch {
	case errors.Is(err, natsgo.ErrConnectionClosed):
		select {
		case <-b.link.over:
			return b.link.closed()
		default:
			return errDown
		}
	case errors.Is(err, natsgo.ErrReconnectBufExceeded), errors.Is(err, natsgo.ErrConnectionReconnecting):
		return errDown
	}
	return fmt.Errorf("nats: %w", err)
}

// backoff is the wait before another try.
func backoff(try int) time.Duration { return min(10*time.Millisecond<<min(try, 7), time.Second) }

// retry calls f until it gives anything but an error that another try may
// overcome. It waits for a connection; the error names the last failure when
// ctx ends first.
func (b *Broker) retry(ctx context.Context, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if !passing(err) {
			return err
		}
		if pauseErr := b.link.pause(ctx, backoff(try)); pauseErr != nil {
			if ctx.Err() != nil {
				return inVain(ctx, err)
			}
			return pauseErr
		}
	}
}
