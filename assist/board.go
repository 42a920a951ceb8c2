package assist

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
)

// board has the best solution that one task knows.
type board struct {
	news   chan struct{} // see Board.News
	posted func(solution []byte, cost float64)

	mu   sync.Mutex
	best []byte
	cost float64
	has  bool
}

func newBoard(posted func(solution []byte, cost float64)) *board {
	return &board{news: make(chan struct{}, 1), posted: posted}
}

func (b *board) beats(cost float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.has || cost < b.cost
}

func (b *board) get() ([]byte, float64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.best, b.cost, b.has
}

func (b *board) set(solution []byte, cost float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.has && cost >= b.cost {
		return false
	}
	b.best, b.cost, b.has = solution, cost, true
	return true
}

// post takes a solution of the task itself.
func (b *board) post(solution []byte, cost float64) bool {
	if !b.set(solution, cost) {
		return false
	}
	b.posted(solution, cost)
	return true
}

// hear takes a solution from elsewhere.
func (b *board) hear(solution []byte, cost float64) {
	if !b.set(solution, cost) {
		return
	}
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// searchShape is the shape of searches.
type searchShape struct {
	newJob func(ctx context.Context, r occamy.Request) (searchJob, error)
}

// gap is the shortest time between two messages with a solution, so that large
// ones that follow each other closely do not fill the network.
func gap(solution []byte) time.Duration {
	return 10*time.Millisecond + time.Duration(len(solution))*time.Microsecond
}

// searchDuty searches for a master. What it shares with the link is guarded by
// the link's lock.
type searchDuty struct {
	link  *link
	job   searchJob
	board *board

	sent   float64 // the cost of the last solution that was sent or has come
	any    bool    // there was one
	sentAt time.Time
	waits  bool   // a timer will wake the link
	sentIn uint64 // the report with the last solution; 0 when it is confirmed
}

func (s *searchShape) newDuty(ctx context.Context, _ *handler, r occamy.Request, l *link) (duty, error) {
	job, err := s.newJob(ctx, r)
	if err != nil {
		return nil, err
	}
	d := &searchDuty{link: l, job: job}
	d.board = newBoard(func([]byte, float64) { l.wake() })
	return d, nil
}

// run implements duty.
func (d *searchDuty) run(life context.Context) error { return d.job.search(life, d.board) }

// fill implements duty.
func (d *searchDuty) fill(r *wire.Report) bool {
	r.Want = 1 // it takes whatever is better
	best, cost, ok := d.board.get()
	since := time.Since(d.sentAt)
	if !ok || d.any && cost >= d.sent && (d.sentIn == 0 || since < resend) {
		return false
	}
	if wait := gap(best) - since; wait > 0 {
		if !d.waits {
			d.waits = true
			time.AfterFunc(wait, d.wait)
		}
		return false
	}
	r.Best = best
	d.sent, d.any, d.sentAt, d.sentIn = cost, true, time.Now(), r.Seq
	return true
}

// pending implements duty.
func (d *searchDuty) pending() bool { return false }

// again implements duty.
func (d *searchDuty) again() {
	if d.sentIn != 0 {
		d.any, d.sentIn = false, 0
	}
	d.sentAt = time.Time{}
}

// idle implements duty.
func (d *searchDuty) idle() bool { return true }

func (d *searchDuty) wait() {
	d.link.mu.Lock()
	d.waits = false
	d.link.mu.Unlock()
	d.link.wake()
}

// examine implements duty.
func (d *searchDuty) examine(g *wire.Grant) any { return examined(d.job, g.Best) }

// take implements duty.
func (d *searchDuty) take(g *wire.Grant, seen any, fresh bool) {
	switch {
	case fresh:
		d.any, d.sentIn = false, 0 // the new master may have less
		d.link.wake()
	case d.sentIn != 0 && d.sentIn <= g.Heard:
		d.sentIn = 0
	}
	if cost, ok := seen.(float64); ok {
		d.board.hear(g.Best, cost)
		if !d.any || cost <= d.sent {
			d.sent, d.any, d.sentIn = cost, true, 0
		}
	}
}

// tooLarge implements duty: a solution that cannot be sent is of no use to others.
func (d *searchDuty) tooLarge(_ *wire.Report, err error) error {
	d.sentIn = 0
	return fmt.Errorf("assist: a solution for %q cannot be sent to its master: %w", d.link.master, err)
}

// examined returns the cost of a solution from elsewhere, or nil for none that
// is right.
func examined(job searchJob, solution []byte) any {
	if solution == nil {
		return nil
	}
	cost, err := job.cost(solution)
	if err != nil {
		return nil
	}
	return cost
}
