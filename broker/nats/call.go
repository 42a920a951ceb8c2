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
// Whoever takes one out of waiting gives it the one answer that it gets.
type calls struct {
	mu      sync.Mutex
	inbox   string // with the dot at its end
	next    uint64
	waiting map[uint64]*call
	refused error // the account may not read the answers
	watched bool  // look is to be called
	watch   *time.Timer
	pool    sync.Pool
}

type call struct {
	number  uint64
	ctx     context.Context
	subject string
	until   time.Time
	answer  chan answer // holds one
	then    answerer    // gets the answer in place of the channel; nil for nobody
}

// answerer gets one answer. It does not block.
type answerer interface{ answered(answer) }

type answer struct {
	msg *natsgo.Msg
	err error
}

// How often is looked for calls whose time is over: no call needs a timer, nor a
// channel of its context, which most are over before. A look goes through all
// that wait, so the more those are, the rarer it is: the looks then take about
// one percent of a core.
const (
	lookEvery = 20 * time.Millisecond
	lookEach  = 25 * time.Microsecond // for each call that waits
)

// untilLook is the time until the next look. mu is held.
func (c *calls) untilLook() time.Duration {
	return max(lookEvery, time.Duration(len(c.waiting))*lookEach)
}

func newCalls() *calls {
	return &calls{waiting: make(map[uint64]*call), pool: sync.Pool{New: func() any {
		return &call{answer: make(chan answer, 1)}
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
	c.answer(n, a)
}

// answer ends a call, unless it has its answer.
func (c *calls) answer(n uint64, a answer) {
	c.mu.Lock()
	w := c.waiting[n]
	delete(c.waiting, n)
	c.mu.Unlock()
	if w != nil {
		c.give(w, a)
	}
}

// give gives a call that was taken out of waiting its answer.
func (c *calls) give(w *call, a answer) {
	then := w.then
	if then == nil {
		w.answer <- a
		return
	}
	c.free(w)
	then.answered(a)
}

func (c *calls) free(w *call) {
	w.ctx, w.then = nil, nil
	c.pool.Put(w)
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
	c.endIf(func(w *call) error {
		if match(w) {
			return err
		}
		return nil
	})
}

// endIf ends the calls for which verdict, which is called under mu, has an error.
func (c *calls) endIf(verdict func(*call) error) {
	type end struct {
		call *call
		err  error
	}
	var ends []end
	c.mu.Lock()
	for n, w := range c.waiting {
		if err := verdict(w); err != nil {
			delete(c.waiting, n)
			ends = append(ends, end{w, err})
		}
	}
	c.mu.Unlock()
	for _, e := range ends {
		c.give(e.call, answer{err: e.err})
	}
}

// add notes a call that waits and returns its number.
func (c *calls) add(w *call) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused != nil {
		return 0, c.refused
	}
	c.next++
	w.number = c.next
	c.waiting[c.next] = w
	if !c.watched {
		c.watched = true
		if c.watch == nil {
			c.watch = time.AfterFunc(lookEvery, c.look)
		} else {
			c.watch.Reset(lookEvery)
		}
	}
	return c.next, nil
}

// look ends the calls whose time is over.
func (c *calls) look() {
	now := time.Now()
	c.endIf(func(w *call) error {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if now.After(w.until) {
			return errNoWord
		}
		return nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched = len(c.waiting) > 0; c.watched {
		c.watch.Reset(c.untilLook())
	}
}

// ask sends one request and waits for its answer. It gives errDown, errCut, errNobody,
// errNoWord, ctx's error, and what NATS refuses.
func (b *Broker) ask(ctx context.Context, subject string, h natsgo.Header, data []byte, wait time.Duration) (*natsgo.Msg, error) {
	w, err := b.post(ctx, subject, h, data, wait, nil)
	if err != nil {
		return nil, err
	}
	a := <-w.answer
	b.calls.free(w)
	return a.msg, a.err
}

// askThen is ask for who does not wait: then gets the answer, once, perhaps at
// once.
func (b *Broker) askThen(ctx context.Context, subject string, data []byte, wait time.Duration, then answerer) {
	if _, err := b.post(ctx, subject, nil, data, wait, then); err != nil {
		then.answered(answer{err: err})
	}
}

// post sends a request. After an error it has no answer.
func (b *Broker) post(ctx context.Context, subject string, h natsgo.Header, data []byte, wait time.Duration, then answerer) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := b.calls
	w := c.pool.Get().(*call)
	w.ctx, w.subject, w.until, w.then = ctx, subject, time.Now().Add(wait), then
	n, err := c.add(w)
	if err != nil {
		c.free(w)
		return nil, err
	}
	reply := c.reply(n)
	if h == nil {
		err = b.nc.PublishRequest(subject, reply, data)
	} else {
		err = b.nc.PublishMsg(&natsgo.Msg{Subject: subject, Reply: reply, Header: h, Data: data})
	}
	if err != nil {
		c.answer(n, answer{err: b.publishError(err)})
	}
	return w, nil
}

func (c *calls) reply(n uint64) string {
	var room [80]byte
	return string(strconv.AppendUint(append(room[:0], c.inbox...), n, 36))
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
		return fmt.Errorf("%w: %w", errDown, err)
	}
	return fmt.Errorf("nats: %w", err)
}

// backoff is the wait before another try.
func backoff(try int) time.Duration { return min(10*time.Millisecond<<min(try, 7), time.Second) }

// retry calls f until it gives anything but an error that another try may
// overcome. It waits for a connection; the error names the last failure when
// ctx ends first.
func (b *Broker) retry(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return inVain(ctx, nil) // the answer might be faster
	}
	return b.retryAfter(ctx, f(), f)
}

// retryAfter is retry after a first try, which gave err.
func (b *Broker) retryAfter(ctx context.Context, err error, f func() error) error {
	for try := 0; passing(err); try++ {
		if pauseErr := b.link.pause(ctx, backoff(try)); pauseErr != nil {
			if ctx.Err() != nil {
				return inVain(ctx, err)
			}
			return pauseErr
		}
		err = f()
	}
	return err
}
