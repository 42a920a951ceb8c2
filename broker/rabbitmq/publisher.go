package rabbitmq

import (
	"context"
	"errors"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	// errAbandoned: ctx ended before the confirmation came.
	errAbandoned = errors.New("rabbitmq: nobody waits for the confirmation")
	// errUnanswered: it did not come within confirmTime.
	errUnanswered = errors.New("rabbitmq: the broker does not confirm")
)

// confirmTime is how long the broker may take to confirm a message, or to say
// that it cannot. When the leader of a queue was killed, RabbitMQ may do neither.
const confirmTime = 8 * time.Second

// How many messages may wait for their confirmation, on a channel that all share
// and on one of those to streams. Each takes room to be returned, 264 bytes.
const (
	inFlight       = 1024
	streamInFlight = 64
)

// publisher is a channel with confirmations. Its goroutine alone publishes on
// it, since a write knows no context.
type publisher struct {
	ch     *amqp.Channel
	opened time.Time
	jobs   chan *job
	places chan struct{} // one for each message in flight
	over   chan struct{} // closed with the channel

	blocked func() error // why the broker reads nothing now, nil when it does
	stream  bool         // see outlet

	mu       sync.Mutex
	astray   bool        // a message was returned
	err      *amqp.Error // why the channel was closed
	returns  chan amqp.Return
	returned map[string]bool // message IDs, until their publisher looks
}

// job is a message to publish.
type job struct {
	exchange, key string
	mandatory     bool
	msg           amqp.Publishing

	sent         chan struct{} // closed once it is sent, or will not be
	confirmation *amqp.DeferredConfirmation
}

// newPublisher opens a channel on which most messages may wait for their
// confirmation; for stream see outlet.
func (b *Broker) newPublisher(ctx context.Context, most int, stream bool) (*publisher, error) {
	conn, err := b.out.wait(ctx)
	if err != nil {
		return nil, err
	}
	return abandon(ctx, func() (*publisher, error) {
		ch, err := conn.Channel()
		if err != nil {
			return nil, err
		}
		if err := ch.Confirm(false); err != nil {
			return nil, err
		}
		p := &publisher{
			ch:       ch,
			opened:   time.Now(),
			jobs:     make(chan *job),
			places:   make(chan struct{}, most),
			over:     make(chan struct{}),
			blocked:  b.out.blocked,
			stream:   stream,
			returns:  ch.NotifyReturn(make(chan amqp.Return, most)),
			returned: make(map[string]bool),
		}
		closes := ch.NotifyClose(make(chan *amqp.Error, 1))
		go p.guard(closes)
		go p.run()
		return p, nil
	}, (*publisher).leave)
}

// leave closes the channel in the background.
func (p *publisher) leave() { go func() { _ = p.ch.Close() }() }

// leaveIdle closes the channel once nothing is under way on it.
func (p *publisher) leaveIdle() {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for len(p.places) > 0 {
		select {
		case <-look.C:
		case <-p.over:
			return
		}
	}
	p.leave()
}

func (p *publisher) guard(closes <-chan *amqp.Error) {
	e := <-closes
	p.mu.Lock()
	p.err = e
	p.mu.Unlock()
	close(p.over)
}

func (p *publisher) run() {
	for {
		select {
		case j := <-p.jobs:
			j.confirmation, _ = p.ch.PublishWithDeferredConfirm(j.exchange, j.key, j.mandatory, false, j.msg)
			close(j.sent) // without a confirmation the channel is over
		case <-p.over:
			return
		}
	}
}

// await returns once the broker has said what became of a message.
func (p *publisher) await(ctx context.Context, j *job) error {
	select {
	case <-j.sent:
	case <-ctx.Done():
		return errAbandoned
	}
	if j.confirmation == nil {
		return p.closed()
	}
	late := time.NewTimer(confirmTime)
	defer late.Stop()
	for waits := true; waits; {
		select {
		case <-j.confirmation.Done():
			waits = false
		case <-late.C:
			if p.blocked() == nil {
				return errUnanswered
			}
			late.Reset(confirmTime) // it was not read yet; another would make it two
		case <-ctx.Done():
			return errAbandoned
		}
	}
	switch {
	case j.confirmation.Acked() && !j.mandatory:
		return nil
	case j.confirmation.Acked():
		returned, astray := p.wasReturned(j.msg.MessageId)
		switch {
		case returned:
			return errNoRoute
		case astray && p.stream:
			return errCut // what the broker says of those that followed may not be so
		}
		return nil
	case p.ch.IsClosed():
		return p.closed()
	}
	return errNack
}

// wasReturned says whether no queue took a message, and whether that was so of
// any. The broker returns it before it confirms it, so the return is here already.
func (p *publisher) wasReturned(id string) (was, any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		select {
		case r, ok := <-p.returns:
			if ok {
				p.returned[r.MessageId] = true
				p.astray = true
				continue
			}
		default:
		}
		break
	}
	was = p.returned[id]
	delete(p.returned, id)
	return was, p.astray
}

// closed says why the channel is closed: errCut, unless the broker closed it for
// what a message asked.
func (p *publisher) closed() error {
	if !p.ch.IsClosed() {
		_ = p.ch.Close() // a message could not be written, so nothing can
	}
	<-p.over
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.err; e != nil && e.Server && e.Recover {
		return e
	}
	return errCut
}
