package nats

import (
	"context"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// A delivery does not say when it was made. It may have lain for long in a
// buffer of a connection that stood still, or of this process, while that did:
// by now NATS may have given the request to somebody else. So the pump asks
// NATS for a sign of life now and then. What comes after the answer was
// delivered after the question.

// provedSubject marks, among the arrivals, where the answer came. It cannot
// come from NATS: it has a space.
const provedSubject = "proved since"

// prove asks again and again until ctx ends, so often that a lease loses little
// by it.
func (p *pump) prove(ctx context.Context) {
	again := time.NewTimer(0)
	again.Stop()
	for {
		select {
		case <-again.C:
		case <-p.readied:
		case <-ctx.Done():
			return
		}
		lease := p.shortestLease()
		asking, cancel := context.WithTimeout(ctx, lease)
		asked := time.Since(p.began)
		err := p.b.nc.FlushWithContext(asking)
		cancel()
		if err == nil {
			select {
			case p.arrivals <- &natsgo.Msg{Subject: provedSubject, Reply: strconv.FormatInt(int64(asked), 10)}:
			case <-ctx.Done():
				return
			}
		}
		again.Reset(max(lease/8, 20*time.Millisecond))
	}
}

// shortestLease is that of the kinds that are ready.
func (p *pump) shortestLease() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	shortest := time.Minute
	for _, l := range p.lanes {
		if l.ready {
			shortest = min(shortest, l.queue.ackWait)
		}
	}
	return shortest
}

// proved notes a mark. Only dispatch calls it, and reads what it notes.
func (p *pump) proved(mark *natsgo.Msg) {
	if asked, err := strconv.ParseInt(mark.Reply, 10, 64); err == nil {
		p.proof = p.began.Add(time.Duration(asked))
	}
}
