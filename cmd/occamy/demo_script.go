package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/examples/routing"
)

// The acts of the demo, from its start.
const (
	burstAt    = 5 * time.Second
	controlAt  = 9 * time.Second
	extraAt    = 14 * time.Second
	cancelAt   = 17 * time.Second
	shutdownAt = 19 * time.Second

	longLimit  = 26 * time.Second // of the first request
	extraLimit = 20 * time.Second // of the one that is cancelled
	shorter    = 2 * time.Second
)

// burst are the instances of the burst, over and over, with limits so that
// they end one after the other and helpers come back.
var burst = []struct {
	instance string
	limit    time.Duration
}{
	{"a280", 12 * time.Second},
	{"ch150", 8 * time.Second},
	{"kroA100", 7 * time.Second},
	{"berlin52", 6 * time.Second},
	{"eil51", 6 * time.Second},
}

// play gives the requests and returns them when all have ended.
func (d *demo) play(ctx context.Context, slots int) ([]*demoRequest, error) {
	p := &play{demo: d, ctx: ctx, start: time.Now()}
	defer p.waiting.Wait()

	d.screen.say("(A) one request alone: it starts at once and grows onto the spare slots of both servers")
	long := p.submit("r1", "pcb442", longLimit)

	p.at(burstAt)
	d.screen.say("(B) a burst: a request for each slot that has none; helpers give way")
	for i := range 2*slots - 1 {
		b := burst[i%len(burst)]
		p.submit(fmt.Sprintf("r%d", i+2), b.instance, b.limit)
	}

	p.at(controlAt)
	if p.err() == nil {
		d.screen.say("(C) a control message tells r2 to be done %v earlier", shorter)
		p.fail(d.client.Control(ctx, "r2", occamy.Headers{
			routing.HeaderTimeLimit: (burst[0].limit - shorter).String(),
		}, nil))
	}
	p.at(extraAt)
	extra := fmt.Sprintf("r%d", 2*slots+1)
	p.submit(extra, "eil51", extraLimit)
	p.at(cancelAt)
	if p.err() == nil {
		d.screen.say("(C) cancel %s", extra)
		p.fail(d.client.Cancel(ctx, extra))
	}

	p.at(shutdownAt)
	if p.err() == nil {
		s := d.runs(long.id)
		d.screen.say("(D) server %s, which runs r1, is shut down: r1 goes on elsewhere from the tour it had", s.name)
		d.stop(ctx, s)
	}
	p.waiting.Wait()
	return p.requests, p.err()
}

// runs returns the server whose slots have the request.
func (d *demo) runs(id string) *demoServer {
	for _, s := range d.servers {
		for _, slot := range s.Snapshot().Slots {
			if slot.ID == id && slot.Status == occamy.Protected {
				return s
			}
		}
	}
	return d.servers[0]
}

// play is a run of the script. The first error ends it.
type play struct {
	demo     *demo
	ctx      context.Context
	start    time.Time
	requests []*demoRequest
	waiting  sync.WaitGroup

	mu     sync.Mutex
	failed error // guarded by mu
}

func (p *play) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = err
	}
}

func (p *play) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// at waits until it is time for the next act.
func (p *play) at(t time.Duration) {
	timer := time.NewTimer(time.Until(p.start.Add(t)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
		p.fail(context.Cause(p.ctx))
	}
}

func (p *play) submit(id, instance string, limit time.Duration) *demoRequest {
	q := &demoRequest{id: id, instance: instance}
	p.requests = append(p.requests, q)
	body, err := routing.File(instance)
	if err != nil {
		p.fail(err)
	}
	if p.err() != nil {
		return q
	}
	p.waiting.Go(func() { p.follow(q, body, limit) })
	return q
}

func (p *play) follow(q *demoRequest, body []byte, limit time.Duration) {
	d := p.demo
	q.sent = time.Now()
	_, err := d.client.Submit(p.ctx, client.Request{
		Kind: routing.Kind, ID: q.id, Body: body,
		Headers: occamy.Headers{routing.HeaderTimeLimit: limit.String()},
	})
	if err != nil {
		p.fail(err)
		return
	}
	o, err := d.client.Wait(p.ctx, q.id, func(progress []byte) { q.length = lengthIn(progress) })
	q.ended = time.Now()
	var cancelled *client.CancelledError
	switch {
	case errors.As(err, &cancelled):
		q.cancelled = true
		d.screen.say("%s was cancelled", q.id)
	case err != nil:
		p.fail(err)
	default:
		q.length = lengthIn(o.Result)
		d.screen.say("%s (%s) is done: a tour of %d", q.id, q.instance, q.length)
	}
}
