package rabbitmq

import (
	"context"
	"sync"
)

// RabbitMQ 3.10 confirms what a channel publishes to a stream whose leader has
// changed since the channel published there before, and keeps none of it. So
// what goes to streams goes over fresh channels: those who publish while one is
// being opened share it, and nobody who comes later.
type freshPublishers struct {
	opening chan struct{} // holds one token; who has it may open a channel
	mu      sync.Mutex
	forming *freshGroup // not opened yet; guarded by mu
}

// freshGroup is those who share a fresh channel.
type freshGroup struct {
	opened  chan struct{} // closed when p or err is there
	p       *publisher
	err     error
	members int // guarded by freshPublishers.mu
}

// join returns a channel on which nothing was published by anybody who is not of
// the same moment. leave is called when the message is confirmed.
func (f *freshPublishers) join(ctx context.Context, b *Broker) (_ *publisher, leave func(), _ error) {
	f.mu.Lock()
	g := f.forming
	first := g == nil
	if first {
		g = &freshGroup{opened: make(chan struct{})}
		f.forming = g
	}
	g.members++
	f.mu.Unlock()
	done := func() {
		f.mu.Lock()
		g.members--
		last := g.members == 0
		f.mu.Unlock()
		if last && g.p != nil {
			g.p.leave()
		}
	}
	if first {
		f.open(ctx, b, g)
	}
	select {
	case <-g.opened:
	case <-ctx.Done():
		go func() {
			<-g.opened
			done()
		}()
		return nil, nil, b.unconfirmed(ctx)
	}
	if g.err != nil {
		done()
		if !first && ctx.Err() == nil {
			return nil, nil, errCut // its ctx may have ended, ours has not
		}
		return nil, nil, g.err
	}
	return g.p, done, nil
}

// open opens the channel of a group, after which nobody joins it any more.
func (f *freshPublishers) open(ctx context.Context, b *Broker, g *freshGroup) {
	select {
	case <-f.opening:
		defer func() { f.opening <- struct{}{} }()
	case <-ctx.Done():
		g.err = b.unconfirmed(ctx)
	}
	if g.err == nil {
		g.p, g.err = b.newPublisher(ctx)
	}
	f.mu.Lock()
	f.forming = nil
	f.mu.Unlock()
	close(g.opened)
}
