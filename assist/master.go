package assist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
)

const (
	// tendEvery is how often a master looks after its assistants.
	tendEvery = 100 * time.Millisecond
	// progressEvery is how often it reports progress.
	progressEvery = 500 * time.Millisecond
	// lastSave is how long a master that is stopped takes to keep its progress.
	lastSave = 500 * time.Millisecond
	// storeTime is for how long a store that fails is tried before the request
	// goes back, to come again after requeueDelay.
	storeTime    = 30 * time.Second
	requeueDelay = 5 * time.Second
)

// sizeOf returns how many assistants a job needs and can use.
func (h *handler) sizeOf(job any, r occamy.Request) (least, most int) {
	least, most = h.cfg.Least, h.cfg.Most
	if s, ok := job.(Sized); ok {
		least, most = s.Assistants()
	}
	if most == 0 {
		most = mostMembers
	}
	if h.client == nil || r.ID == "" || len(r.ID) > maxMaster {
		return 0, 0 // nobody could reach it
	}
	least = min(max(least, 0), mostMembers)
	return least, min(max(most, least), mostMembers)
}

// progressKey is where the progress of a request is kept.
func progressKey(r occamy.Request) string { return "assist/" + r.Kind + "/" + r.ID }

// control takes a control message to a master: a report of an assistant, or one
// from outside, which is the job's.
func (c *crew) control(ctx context.Context, headers occamy.Headers, body []byte) error {
	what, ok, err := text(headers, headerMessage)
	switch {
	case err != nil:
		return err
	case ok && what == sayReport:
		return c.take(body)
	case c.user == nil:
		return errors.New("assist: the job takes no control messages: it has no method Control")
	}
	return c.user.Control(ctx, headers, body)
}

// tend looks after the assistants until life ends, and reports progress.
func (c *crew) tend(life context.Context, attempt int, progress func() []byte) {
	begin := time.Now()
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	var reported time.Time
	for {
		now := time.Now()
		c.expire(now)
		c.useMore(life)
		// Those of an earlier attempt may be there still: they are heard of first.
		if attempt <= 1 || now.Sub(begin) > c.h.cfg.adoption() {
			c.hire(life, now)
		}
		if now.Sub(reported) >= progressEvery {
			reported = now
			if b := progress(); b != nil && occamy.ReportProgress(life, b) != nil {
				progress = func() []byte { return nil } // nobody wants to know
			}
		}
		select {
		case <-life.Done():
			return
		case <-tick.C:
		}
	}
}

// dismiss ends the crew. over: the job will not be taken up again, so its
// assistants are told to end; otherwise they wait for the next attempt.
func (c *crew) dismiss(ctx context.Context, over bool) {
	if over && c.h.client != nil {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		c.unhire(detached)
	}
	c.close(over)
}

// epochOf tells the masters of one job apart: a later one has a higher epoch.
// rev is that of the claim of its progress; 0 where none is kept.
func epochOf(rev checkpoint.Revision) uint64 {
	if rev > 0 {
		return uint64(rev)
	}
	return uint64(time.Now().UnixNano())
}

// forGood says whether a job is over that ended with err, and whose task was
// stopped for cause (nil for not stopped): no other attempt follows.
func forGood(cause, err error) bool {
	stopped := cause != nil && !errors.Is(cause, occamy.ErrCancelled) && !errors.Is(cause, occamy.ErrTimeout)
	return !stopped && !errors.Is(err, occamy.ErrRequeue)
}

// setResult gives the request its result.
func setResult(ctx context.Context, result []byte) error {
	if err := occamy.SetResult(ctx, result); err != nil && !errors.Is(err, occamy.ErrNoRequest) {
		return err
	}
	return nil
}

// save keeps progress until life ends. It ends the job when another attempt has
// it, or there is too much of it.
func (c *crew) save(life context.Context, save func(context.Context) error, fail func(error)) {
	tick := time.NewTicker(c.h.cfg.SavePeriod)
	defer tick.Stop()
	for {
		select {
		case <-life.Done():
			return
		case <-tick.C:
		}
		err := save(life)
		switch {
		case err == nil || life.Err() != nil:
		case errors.Is(err, checkpoint.ErrSuperseded):
			fail(superseded(err))
			return
		case errors.Is(err, checkpoint.ErrTooLarge):
			fail(fmt.Errorf("its progress cannot be kept: %w", err))
			return
		default:
			c.h.cfg.OnError(fmt.Errorf("assist: job %q: keep progress: %w", c.req.ID, err))
		}
	}
}

// saveLast keeps the progress of a master that ends for why, when it is still
// its own and there may be another attempt.
func (c *crew) saveLast(ctx context.Context, why error, save func(context.Context) error) {
	for _, gone := range []error{occamy.ErrDeliveryLost, occamy.ErrCancelled, checkpoint.ErrSuperseded} {
		if errors.Is(why, gone) {
			return
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	if err := save(last); err != nil {
		c.h.cfg.OnError(fmt.Errorf("assist: job %q: keep the last progress: %w", c.req.ID, err))
	}
}

// untilOpen calls open until it succeeds, life ends, or the store has failed for
// too long.
func (h *handler) untilOpen(life context.Context, id string, open func(context.Context) error) error {
	begin, pause := time.Now(), 50*time.Millisecond
	for {
		err := open(life)
		switch {
		case err == nil:
			return nil
		case life.Err() != nil:
			return context.Cause(life)
		case errors.Is(err, checkpoint.ErrFormat), errors.Is(err, checkpoint.ErrInvalidKey):
			return fmt.Errorf("assist: open the progress of job %q: %w", id, err)
		case time.Since(begin) > storeTime:
			return occamy.Requeue(fmt.Errorf("assist: open the progress of job %q: %w", id, err), requeueDelay)
		}
		h.cfg.OnError(fmt.Errorf("assist: job %q: open its progress: %w; trying again", id, err))
		select {
		case <-time.After(pause):
			pause = min(2*pause, 2*time.Second)
		case <-life.Done():
			return context.Cause(life)
		}
	}
}

// superseded is how a master ends whose progress another attempt has taken over.
// When the request is ours all the same, it comes again.
func superseded(err error) error { return occamy.Requeue(err, requeueDelay) }
