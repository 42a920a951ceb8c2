package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// giveBackTime is how long Consume takes at its end to give back what NATS has
// delivered and nobody has taken.
const giveBackTime = 5 * time.Second

// Consume implements occamy.Source.
func (b *Broker) Consume(ctx context.Context, in occamy.Intake) error {
	info := in.Info()
	for _, kind := range info.Kinds {
		if err := broker.CheckKind(kind); err != nil {
			return err
		}
	}
	life, end, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer end()

	err = b.consume(life, in, info)
	if ctx.Err() != nil {
		return nil
	}
	if life.Err() != nil {
		return context.Cause(life)
	}
	return err
}

func (b *Broker) consume(ctx context.Context, in occamy.Intake, info occamy.Info) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	d, err := b.openDesk(ctx, in, info)
	if err != nil {
		return err
	}
	defer d.close()
	p := newPump(b, in, info)
	w := b.link.watch(func(subject string, err error) {
		if p.uses(subject) || d.uses(subject) && isSubscription(err) {
			fail(fmt.Errorf("nats: consume: %w", err))
		}
	})
	defer b.link.unwatch(w)

	if err := p.run(ctx, w.connected); err != nil && ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// pullTiming are the times by which a pump pulls.
type pullTiming struct {
	expires   time.Duration // of a pull that waits for what may come
	heartbeat time.Duration // of the NATS server, while such a pull waits
	rotate    time.Duration // after which a lane pulls with another inbox at the latest
	cycle     time.Duration // in which each kind gets its turn, with less credit than kinds
	probe     time.Duration // between looks at an idle kind while others have a backlog
	answer    time.Duration // within which NATS answers a pull for messages that wait
	start     time.Duration // for which the first pull waits for all lanes to be ready
	tick      time.Duration // between looks for pulls that were lost
}

var defaultTiming = pullTiming{
	expires:   time.Minute,
	heartbeat: 15 * time.Second,
	rotate:    90 * time.Second,
	cycle:     200 * time.Millisecond,
	probe:     50 * time.Millisecond,
	answer:    200 * time.Millisecond,
	start:     time.Second,
	tick:      5 * time.Second,
}

// acquire takes promises of the intake and hands them to the pump, until ctx
// ends or the server is closed.
func (p *pump) acquire(ctx context.Context) error {
	for p.hunger(ctx) {
		withdrawn := p.in.Withdrawn()
		n, err := p.in.Acquire(ctx, 1<<30)
		if errors.Is(err, occamy.ErrServerClosed) {
			return nil // control messages go on until ctx ends
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("nats: consume: %w", err)
		}
		p.promised(n, withdrawn)
	}
	return nil
}

// run pulls until ctx ends, and then gives back what nobody has taken.
func (p *pump) run(ctx context.Context, connected <-chan struct{}) error {
	if len(p.lanes) == 0 {
		<-ctx.Done()
		return nil
	}
	acquiring, stop := context.WithCancel(ctx)
	acquired := make(chan struct{})
	go func() {
		defer close(acquired)
		if err := p.acquire(acquiring); err != nil {
			select {
			case p.failed <- err:
			default:
			}
		}
	}()
	dispatched := make(chan struct{})
	go func() {
		defer close(dispatched)
		p.dispatch()
	}()

	select { // the connection that is there already is no new one
	case <-connected:
	default:
	}
	for _, l := range p.lanes {
		p.prepare(ctx, l, 0)
	}
	err := p.attend(ctx, connected)

	stop()
	<-acquired
	p.end()
	close(p.quit)
	<-dispatched
	return err
}

// attend reacts to what happens beside the messages.
func (p *pump) attend(ctx context.Context, connected <-chan struct{}) error {
	tick := time.NewTimer(p.nextTick())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-p.failed:
			return err
		case <-connected:
			p.reconnected(ctx)
		case <-p.watchChanged:
			tick.Reset(p.nextTick())
		case <-p.watch():
			p.withdraw()
		case <-tick.C:
			p.check()
			tick.Reset(p.nextTick())
		case l := <-p.broken:
			p.prepare(ctx, l, l.failures)
		}
	}
}

// prepare makes sure that the consumer of a kind is there, in the background,
// and then has the lane pull.
func (p *pump) prepare(ctx context.Context, l *lane, failures int) {
	p.work.Go(func() {
		if failures > 0 {
			if err := p.b.link.pause(ctx, backoff(failures)); err != nil {
				return
			}
		}
		q, err := p.b.ensureQueue(ctx, l.kind, p.slots)
		switch {
		case err == nil:
			p.mu.Lock()
			defer p.mu.Unlock()
			l.queue, l.ready, l.preparing, l.tried, l.served = q, true, false, true, true
			p.assign()
			p.changed()
		case ctx.Err() != nil:
		case p.hopeless(l, err):
			select {
			case p.failed <- fmt.Errorf("consume %q: %w", l.kind, err):
			default: // another kind said so
			}
		default:
			p.tell(l, fmt.Errorf("consume %q: %w", l.kind, err))
			p.fault(l)
		}
	})
}

// hopeless: a server that starts says at once what an operator has to change.
// One that has worked goes on trying.
func (p *pump) hopeless(l *lane, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !l.served && (errors.Is(err, ErrMissing) || errors.Is(err, ErrUnsuitable) || errors.Is(err, natsgo.ErrPermissionViolation))
}

// tellAgain is when an error that stays the same is told once more.
const tellAgain = time.Minute

// tell reports what keeps a lane from working, but not with every try.
func (p *pump) tell(l *lane, err error) {
	p.mu.Lock()
	again := err.Error() != l.told || time.Since(l.toldAt) > tellAgain
	if again {
		l.told, l.toldAt = err.Error(), time.Now()
	}
	p.mu.Unlock()
	if again {
		p.b.cfg.OnError(err)
	}
}

// uses says whether a subject is one that the pump needs.
func (p *pump) uses(subject string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.lanes, func(l *lane) bool {
		return subject == l.queue.pull || l.inbox != nil && subject == l.inbox.sub.Subject
	})
}
