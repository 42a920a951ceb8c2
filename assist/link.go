package assist

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
	"github.com/occamy-go/occamy/broker"
)

// duty is what an assistant does. The methods fill and take are called with the
// link's lock held, and do not block.
type duty interface {
	// run computes until ctx ends; life ends a little before, when the
	// assistant is to stop.
	run(life context.Context) error
	// fill adds to a report what there is to say. It says whether that is worth
	// a message; again asks for all that no grant has confirmed.
	fill(r *wire.Report, again bool) bool
	// examine looks at a grant, without the lock, since it may call the job. What
	// it returns goes to take.
	examine(g *wire.Grant) any
	// take takes a grant of the master. fresh: it is the first of that master.
	take(g *wire.Grant, seen any, fresh bool)
	// tooLarge says that r could not be sent.
	tooLarge(r *wire.Report, err error)
}

// link is an assistant's end of the wire to its master. Its goroutine is run;
// reports go one after the other.
type link struct {
	h            *handler
	master       string // its ID
	job          wire.Job
	from         string // the assistant's own ID
	number       uint64 // of this run
	needed, root bool

	news chan struct{} // holds one token when there may be something to say

	mu    sync.Mutex
	duty  duty      // nil until run; guarded by mu, as is all below
	epoch uint64    // of the master that is followed; 0 for none
	heard uint64    // Seq of its last grant
	at    time.Time // when that came
	seq   uint64    // of the last report
	room  int
	ended bool // there is nothing left to do
	end   context.CancelCauseFunc
}

func (h *handler) newLink(master string, job wire.Job, from string) *link {
	return &link{h: h, master: master, job: job, from: from, number: rand.Uint64(), news: make(chan struct{}, 1)}
}

// errNoWork: the master has nothing left to do, or is gone.
var errNoWork = errors.New("assist: nothing left to do")

func (l *link) wake() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// take takes a control message.
func (l *link) take(body []byte) error {
	g, err := wire.DecodeGrant(body)
	if err != nil {
		return err
	}
	if g.Job != l.job || g.Run != l.number {
		return nil // for whoever bore this ID before
	}
	l.mu.Lock()
	d := l.duty
	l.mu.Unlock()
	if d == nil {
		return nil
	}
	seen := d.examine(&g)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil
	}
	fresh := g.Epoch != l.epoch
	if fresh && g.Epoch < l.epoch && time.Since(l.at) < l.h.cfg.LeaseTimeout {
		return nil // a master that has been replaced and does not know it yet
	}
	if !fresh && g.Seq <= l.heard {
		return nil // it came twice
	}
	l.epoch, l.heard, l.at, l.room = g.Epoch, g.Seq, time.Now(), int(min(g.Room, 1<<20))
	d.take(&g, seen, fresh)
	if g.State == wire.End {
		l.finish()
	}
	return nil
}

// finish ends the assistant. The caller holds the lock.
func (l *link) finish() {
	l.ended = true
	if l.end != nil {
		l.end(errNoWork)
	}
}

// vacancies is how many further assistants the master would welcome.
func (l *link) vacancies() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return 0
	}
	return l.room
}

// firstRetry is how soon a report that found nobody is sent again; later ones
// wait longer, up to a beat.
const firstRetry = 5 * time.Millisecond

// run reports until ctx ends. It ends the assistant when the master is gone.
func (l *link) run(ctx context.Context) {
	beat := time.NewTicker(l.h.cfg.beat())
	defer beat.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	var (
		missing time.Time // since when the master cannot be reached
		pause   time.Duration
		beats   int
	)
	for {
		due := missing != time.Time{} // what could not be said is said again
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			beats++
			due = true
		case <-retry.C:
		case <-l.news:
		}
		r := l.report(due, due && beats%2 == 0)
		if r == nil {
			continue
		}
		err := l.send(ctx, r)
		switch {
		case err == nil:
			missing, pause = time.Time{}, firstRetry
			continue
		case ctx.Err() != nil:
			return
		case missing.IsZero():
			missing = time.Now()
			if errors.Is(err, broker.ErrNobody) && l.over(ctx) {
				l.quit()
			}
		case time.Since(missing) > l.h.cfg.Patience:
			l.quit()
		}
		retry.Reset(pause)
		pause = min(max(2*pause, firstRetry), l.h.cfg.beat())
	}
}

func (l *link) quit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finish()
}

// report returns what there is to say, nil for nothing. When it is due there
// always is, if only that the assistant lives.
func (l *link) report(due, again bool) *wire.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.header()
	if !l.duty.fill(r, again) && !due && l.seq > 0 {
		return nil
	}
	l.seq++
	return r
}

func (l *link) header() *wire.Report {
	return &wire.Report{
		Job: l.job, From: l.from, Run: l.number, Seq: l.seq + 1, Epoch: l.epoch, Heard: l.heard,
		Needed: l.needed, Root: l.root,
	}
}

func (l *link) send(ctx context.Context, r *wire.Report) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	err := l.h.client.Control(ctx, l.master, occamy.Headers{headerMessage: sayReport}, r.Encode())
	if errors.Is(err, occamy.ErrTooLarge) {
		l.mu.Lock()
		l.duty.tooLarge(r, err)
		l.mu.Unlock()
		l.wake()
		return nil // the broker is there
	}
	if err != nil && !errors.Is(err, broker.ErrNobody) && ctx.Err() == nil {
		l.h.cfg.OnError(fmt.Errorf("assist: a message to master %q: %w", l.master, err))
	}
	return err
}

// over says whether the master's request has ended, so that it will not come
// back.
func (l *link) over(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	_, err := l.h.client.Result(ctx, l.master)
	return err == nil
}

// leave tells the master that the assistant is gone, and what it had is free.
func (l *link) leave(ctx context.Context) {
	l.mu.Lock()
	r := l.header()
	l.duty.fill(r, true)
	r.Leaving, r.Want, r.Held = true, 0, nil
	tell := !l.ended && l.seq > 0
	l.seq++
	l.mu.Unlock()
	if tell {
		_ = l.send(ctx, r) // otherwise the master misses it
	}
}
