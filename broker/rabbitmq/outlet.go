package rabbitmq

import (
	"context"
	"sync"
	"time"
)

// outlet is a channel for publications, opened with the first of them and again
// when it has closed.
type outlet struct {
	gate chan struct{} // holds one token; who has it may open the channel
	most int           // messages that may wait for their confirmation
	idle time.Duration // after how long without a publication it is closed; 0: never

	// stream says that all publications go to one stream, and each is refused
	// that does not arrive there.
	//
	// When the leader of a stream changes, RabbitMQ (3.10 at least) has a channel
	// send again what is not confirmed, but under the channel's numbers in place
	// of the stream's. Where they differ it takes later messages for repeated
	// ones, or one for another, and confirms what it does not keep. They are the
	// same as long as everything that a channel publishes goes to that stream.
	stream bool

	mu    sync.Mutex
	live  *publisher
	taken time.Time // when somebody last got live
}

func newOutlet() *outlet {
	o := &outlet{gate: make(chan struct{}, 1), most: inFlight}
	o.gate <- struct{}{}
	return o
}

// streamIdle is how long a channel to a stream stays open unused. It costs the
// broker four processes and 16 KB, for each stream and connection.
const streamIdle = time.Minute

func newStreamOutlet() *outlet {
	o := newOutlet()
	o.most, o.idle, o.stream = streamInFlight, streamIdle, true
	return o
}

// publisher returns the channel, open.
func (o *outlet) publisher(ctx context.Context, b *Broker) (*publisher, error) {
	if p := o.current(); p != nil {
		return p, nil
	}
	select {
	case <-o.gate:
	case <-ctx.Done():
		return nil, b.unconfirmed(ctx)
	}
	defer func() { o.gate <- struct{}{} }()
	if p := o.current(); p != nil {
		return p, nil
	}
	p, err := b.newPublisher(ctx, o.most, o.stream)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.live, o.taken = p, time.Now()
	if o.idle > 0 {
		time.AfterFunc(o.idle, func() { o.rest(p) })
	}
	return p, nil
}

func (o *outlet) current() *publisher {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.live; p != nil {
		select {
		case <-p.over:
			o.live = nil
		default:
			o.taken = time.Now()
			return p
		}
	}
	return nil
}

// rest closes p when nobody has used it for long.
func (o *outlet) rest(p *publisher) {
	o.mu.Lock()
	defer o.mu.Unlock()
	unused := time.Since(o.taken)
	switch {
	case o.live != p:
	case unused < o.idle || len(p.places) > 0:
		time.AfterFunc(max(o.idle-unused, o.idle/8), func() { o.rest(p) })
	default:
		o.live = nil
		p.leave()
	}
}

// freshTime is for how long a channel is not replaced since it keeps nothing.
const freshTime = time.Second

// replace has what follows go over another channel. What is under way on p stays
// there.
//
// A channel knows which nodes have a quorum queue from when it first published to
// it. When the one that it takes for the leader is gone, RabbitMQ (3.10 at least)
// refuses all that is published to that queue over the channel, for as long as
// the channel is open, and so does a channel that was opened before the others
// have agreed on a leader. A queue that is full says the same, of every channel,
// so one that is new is left.
func (o *outlet) replace(p *publisher) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.live != p || time.Since(p.opened) < freshTime {
		return
	}
	o.live = nil
	go p.leaveIdle()
}

// renew has what follows go over another channel. What is under way on p is
// published again.
func (o *outlet) renew(p *publisher) {
	o.mu.Lock()
	if o.live == p {
		o.live = nil
	}
	o.mu.Unlock()
	p.leave()
}

// close has what follows go over another channel.
func (o *outlet) close() {
	o.mu.Lock()
	p := o.live
	o.mu.Unlock()
	if p != nil {
		o.renew(p)
	}
}
