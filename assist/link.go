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

// duty is what an assistant does. All methods but run and examine are called
// with the link's lock held, and do not block.
type duty interface {
	// run computes until ctx ends; life ends a little before, when the
	// assistant is to stop.
	run(life context.Context) error
	// fill adds to a report what there is to say. It says whether that is worth
	// a message.
	fill(r *wire.Report) bool
	// pending says that there are results that no report has had.
	pending() bool
	// again has all said again that no grant has confirmed.
	again()
	// examine looks at a grant, without the lock, since it may call the job. What
	// it returns goes to take.
	examine(g *wire.Grant) any
	// take takes a grant of the master. fresh: it is the first of that master.
	take(g *wire.Grant, seen any, fresh bool)
	// tooLarge says that r could not be sent. What it returns is for
	// Config.OnError.
	tooLarge(r *wire.Report, err error) error
	// idle says that there is nothing to compute.
	idle() bool
}

// link is an assistant's end of the wire to its master. Its goroutine is run;
// reports go one after the other, and nothing else waits for the broker.
type link struct {
	h            *handler
	master       string // its ID
	job          wire.Job
	from         string // the assistant's own ID
	number       uint64 // of this run
	needed, root bool

	news chan struct{} // holds one token when there may be something to say

	speech sync.Mutex // held while a report is made and sent, so that they keep their order

	mu    sync.Mutex
	duty  duty      // nil until run; guarded by mu, as is all below
	epoch uint64    // of the master that is followed; 0 for none
	heard uint64    // Seq of its last grant
	at    time.Time // when that came; at first, when the assistant began
	seq   uint64    // of the last report
	room  int
	less  bool // of a root: it has offered fewer than it was asked for
	ended bool // there is nothing left to do
	end   context.CancelCauseFunc

	askAgain func() // has the server ask the root for assistants; set by start
}

func (h *handler) newLink(master string, job wire.Job, from string) *link {
	return &link{h: h, master: master, job: job, from: from, number: rand.Uint64(), news: make(chan struct{}, 1)}
}

// errNoWork: the master has nothing left to do, or is gone.
var errNoWork = errors.New("assist: nothing left to do")

// start has the link carry what d says, and end the assistant, whose context is
// ctx, by end.
func (l *link) start(ctx context.Context, d duty, end context.CancelCauseFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.duty, l.end, l.at = d, end, time.Now()
	l.askAgain = func() { occamy.AskAgain(ctx) }
	l.wake()
}

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
	if l.obey(d, &g, d.examine(&g)) {
		l.askAgain()
	}
	return nil
}

// obey does what a grant says. It says whether there is more room for further
// assistants than the root has offered.
func (l *link) obey(d duty, g *wire.Grant, seen any) (room bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	fresh := g.Epoch != l.epoch
	if fresh && g.Epoch < l.epoch && time.Since(l.at) < l.h.cfg.LeaseTimeout {
		return false // a master that has been replaced and does not know it yet
	}
	if !fresh && g.Seq <= l.heard {
		return false // it came twice
	}
	l.epoch, l.heard, l.at, l.room = g.Epoch, g.Seq, time.Now(), int(min(g.Room, mostMembers))
	d.take(g, seen, fresh)
	if g.State == wire.End {
		l.finish()
	}
	room = l.less && l.room > 0 && !l.ended
	l.less = l.less && !room
	return room
}

// finish ends the assistant. The caller holds the lock.
func (l *link) finish() {
	l.ended = true
	if l.end != nil {
		l.end(errNoWork)
	}
}

// offer takes up to n of the places that the master has for further assistants.
func (l *link) offer(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	has := l.room
	if l.ended {
		has = 0
	}
	l.less = has < n
	n = max(min(n, has), 0)
	l.room -= n // until the master says more
	return n
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
	)
	for {
		due, news := false, l.news
		if !missing.IsZero() {
			due, news = true, nil // what could not be said is said again, when it is time
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			due = true
		case <-retry.C:
		case <-news:
		}
		if l.forgotten() {
			l.quit()
			return
		}
		sent, err := l.speak(ctx, due)
		switch {
		case !sent:
			continue
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

// forgotten says whether the master takes what is said and gives nothing to do.
// While there is nothing to do, it answers each report.
func (l *link) forgotten() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.at) > l.h.cfg.LeaseTimeout+l.h.cfg.Patience && l.duty.idle()
}

func (l *link) quit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finish()
}

// say reports what there is to say if that needs no wait, and otherwise leaves it
// to run.
func (l *link) say(ctx context.Context) {
	if !l.speech.TryLock() {
		l.wake()
		return
	}
	defer l.speech.Unlock()
	l.mu.Lock()
	tells := l.tells()
	l.mu.Unlock()
	if !tells {
		l.wake()
	} else if r := l.report(false); r != nil && l.send(ctx, r, true) != nil {
		l.wake()
	}
}

// speak reports what there is to say. It says whether there was anything.
func (l *link) speak(ctx context.Context, due bool) (bool, error) {
	l.speech.Lock()
	defer l.speech.Unlock()
	l.mu.Lock()
	tells := !due && l.tells()
	l.mu.Unlock()
	r := l.report(due)
	if r == nil {
		return false, nil
	}
	return true, l.send(ctx, r, tells)
}

// tells says whether the master need not confirm a report: it has been there a
// moment ago, and will say itself what has arrived. The caller holds the lock.
func (l *link) tells() bool { return l.epoch != 0 && time.Since(l.at) < 2*l.h.cfg.beat() }

// report returns what there is to say, nil for nothing. When it is due there
// always is, if only that the assistant lives.
func (l *link) report(due bool) *wire.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.header()
	if !l.duty.fill(r) && !due && l.seq > 0 {
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

// send returns once the master's server has the report, or, when it is told, once
// it is on its way.
func (l *link) send(ctx context.Context, r *wire.Report, tell bool) error {
	err := l.deliver(ctx, r, tell)
	if err == nil {
		return nil
	}
	return l.failed(ctx, r, err)
}

func (l *link) deliver(ctx context.Context, r *wire.Report, tell bool) error {
	headers := occamy.Headers{headerMessage: sayReport}
	if tell {
		return l.h.client.Tell(ctx, l.master, headers, r.Encode())
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return l.h.client.Control(ctx, l.master, headers, r.Encode())
}

// failed notes that a report may not have arrived.
func (l *link) failed(ctx context.Context, r *wire.Report, err error) error {
	tell := error(nil)
	l.mu.Lock()
	switch {
	case errors.Is(err, occamy.ErrTooLarge):
		tell, err = l.duty.tooLarge(r, err), nil // the broker is there
		l.wake()
	default:
		l.duty.again()
		if !errors.Is(err, broker.ErrNobody) && ctx.Err() == nil {
			tell = fmt.Errorf("assist: a message to master %q: %w", l.master, err)
		}
	}
	l.mu.Unlock()
	if tell != nil {
		l.h.cfg.OnError(tell)
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

// leave tells the master what it does not know yet, that the assistant is gone,
// and what it had is free.
func (l *link) leave(ctx context.Context) {
	l.mu.Lock()
	l.duty.again()
	l.mu.Unlock()
	for {
		l.mu.Lock()
		if l.ended || l.seq == 0 {
			l.mu.Unlock()
			return
		}
		r := l.header()
		l.duty.fill(r)
		l.seq++
		r.Want, r.Held, r.Leaving = 0, nil, !l.duty.pending()
		l.mu.Unlock()
		err := l.send(ctx, r, false)
		l.mu.Lock()
		done := r.Leaving && !l.duty.pending()
		l.mu.Unlock()
		if err != nil || done {
			return // when there was an error, the master misses it
		}
	}
}
