package assist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
	"github.com/occamy-go/occamy/checkpoint"
)

// searchMaster is the task of a request for a search. It keeps the best solution,
// and searches itself.
type searchMaster struct {
	*crew
	job   searchJob            // the one for the books
	board *board               // the best of all
	kept  *checkpoint.Progress // nil: nothing is kept

	news chan struct{} // holds one token when there is a better solution to tell of

	// guarded by mu of crew
	end     context.CancelCauseFunc // of life; nil before Do
	version uint64                  // grows with each better solution
	helped  uint64                  // better solutions that assistants sent
	limits  Limits
	timer   *time.Timer   // of limits.Time; nil before Do
	spent   time.Duration // by earlier attempts
	begun   time.Time
}

func (s *searchShape) newMaster(ctx context.Context, h *handler, r occamy.Request) (occamy.Task, error) {
	job, err := s.newJob(ctx, r)
	if err != nil {
		return nil, err
	}
	m := &searchMaster{crew: newCrew(h, r, job.as()), job: job, news: make(chan struct{}, 1)}
	m.books = m
	m.board = newBoard(func([]byte, float64) { m.better() })
	if h.cfg.Store != nil && r.ID != "" {
		m.kept = checkpoint.New(h.cfg.Store, progressKey(r))
	}
	return m, nil
}

// Details leaves all to the headers of the request.
func (m *searchMaster) Details() occamy.Details { return occamy.Details{} }

// Expand implements occamy.Expander.
func (m *searchMaster) Expand(_ context.Context, n int) []occamy.Task { return m.expand(n) }

// Control implements occamy.Controller.
func (m *searchMaster) Control(ctx context.Context, headers occamy.Headers, body []byte) error {
	err := m.control(ctx, headers, body)
	if _, own := headers[headerMessage]; !own && err == nil {
		m.limit()
	}
	return err
}

// Settled implements occamy.SettleObserver.
func (m *searchMaster) Settled(ctx context.Context, s occamy.Settlement) {
	if m.kept != nil {
		m.kept.Settled(ctx, s)
	}
}

// Do implements occamy.Task.
func (m *searchMaster) Do(ctx context.Context) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	searches, err := m.h.shape.(*searchShape).newJob(ctx, m.req)
	if err != nil {
		return err
	}
	if err := m.restore(life); err != nil {
		return err
	}
	timer := time.AfterFunc(math.MaxInt64, func() { end(errDone) })
	defer timer.Stop()
	m.mu.Lock()
	m.begun, m.timer, m.end = time.Now(), timer, end
	m.mu.Unlock()
	m.limit()
	m.begin(ctx, m.claimed())

	var beside sync.WaitGroup
	beside.Go(func() { m.tend(life, m.req.Attempt, m.progress) })
	beside.Go(func() { m.tell(life) })
	if m.kept != nil {
		beside.Go(func() { m.save(life, m.keep, end) })
	}
	err = searches.search(life, m.board)
	if life.Err() != nil {
		err = context.Cause(life)
	}
	end(errDone)
	beside.Wait()

	cause := context.Cause(ctx)
	m.dismiss(ctx, forGood(cause, err))
	if cause != nil {
		err = cause
	}
	if err == nil || errors.Is(err, errDone) {
		err = m.finish(ctx)
	}
	if err != nil && m.kept != nil {
		m.saveLast(ctx, err, m.keep)
	}
	return err
}

func (m *searchMaster) finish(ctx context.Context) error {
	best, _, ok := m.board.get()
	if !ok {
		return errors.New("assist: the search has found no solution")
	}
	result, err := m.job.result(ctx, best)
	if err != nil {
		return err
	}
	return setResult(ctx, result)
}

// claimed is the epoch of the attempt.
func (m *searchMaster) claimed() uint64 {
	if m.kept == nil {
		return epochOf(0)
	}
	return epochOf(m.kept.Revision())
}

// limit has the search end by the job's limits.
func (m *searchMaster) limit() {
	var limits Limits
	if l, ok := m.job.as().(Limited); ok {
		limits = l.Limits()
	}
	m.mu.Lock()
	m.limits = limits
	if m.timer != nil && limits.Time > 0 {
		m.timer.Reset(limits.Time - m.spent - time.Since(m.begun))
	} else if m.timer != nil {
		m.timer.Stop()
	}
	m.mu.Unlock()
	m.check()
}

// check ends the search when its target is reached.
func (m *searchMaster) check() {
	_, cost, ok := m.board.get()
	m.mu.Lock()
	defer m.mu.Unlock()
	if target := m.limits.Target; ok && target != nil && cost <= *target && m.end != nil {
		m.end(errDone)
	}
}

// better is called when the master itself has found a better solution.
func (m *searchMaster) better() {
	m.check()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.improved()
}

// improved has the assistants told of a better solution. The caller holds the
// lock.
func (m *searchMaster) improved() {
	m.version++
	select {
	case m.news <- struct{}{}:
	default:
	}
}

// tell tells the assistants of better solutions until life ends, of no more than
// the best in each gap.
func (m *searchMaster) tell(life context.Context) {
	for {
		select {
		case <-m.news:
		case <-life.Done():
			return
		}
		m.mu.Lock()
		m.serveAll()
		m.unlock()
		best, _, _ := m.board.get()
		select {
		case <-time.After(gap(best)):
		case <-life.Done():
			return
		}
	}
}

// examine implements books.
func (m *searchMaster) examine(r *wire.Report) any { return examined(m.job, r.Best) }

// report implements books.
func (m *searchMaster) report(from *member, r *wire.Report, seen any) (answer bool) {
	cost, ok := seen.(float64)
	if !ok {
		return r.Best != nil
	}
	if m.board.beats(cost) {
		m.board.hear(r.Best, cost)
		m.improved()
		m.helped++
		from.told = m.version // it has that one
		if target := m.limits.Target; target != nil && cost <= *target {
			m.end(errDone)
		}
	}
	return true
}

// idle implements books.
func (m *searchMaster) idle() bool { return m.version == 0 }

// grant implements books.
func (m *searchMaster) grant(g *wire.Grant, to *member) bool {
	best, _, ok := m.board.get()
	if !ok || to.told == m.version {
		return false
	}
	to.told = m.version
	g.Best = best
	return true
}

// undo implements books.
func (m *searchMaster) undo(*wire.Grant, *member) {}

// gone implements books.
func (m *searchMaster) gone(*member, bool) {}

// tooLarge implements books: a search whose solutions cannot be sent goes on,
// each by itself.
func (m *searchMaster) tooLarge(_ *wire.Grant, err error) error {
	return fmt.Errorf("its best solution cannot be sent: %w", err)
}

// useful implements books.
func (m *searchMaster) useful() int { return m.most }

func (m *searchMaster) progress() []byte {
	_, cost, ok := m.board.get()
	m.mu.Lock()
	p := Progress{Assistants: len(m.members), Helped: m.helped}
	if ok {
		p.Cost = &cost
	}
	p.Elapsed = m.elapsed()
	if m.limits.Time > 0 {
		p.Fraction = min(p.Elapsed.Seconds()/m.limits.Time.Seconds(), 1)
	}
	m.mu.Unlock()
	return reported(m.job.as(), p)
}

// elapsed is what all attempts have taken. The caller holds the lock.
func (m *searchMaster) elapsed() time.Duration {
	if m.begun.IsZero() {
		return m.spent
	}
	return m.spent + time.Since(m.begun)
}

// restore takes over what earlier attempts have kept.
func (m *searchMaster) restore(life context.Context) error {
	if m.kept == nil {
		return nil
	}
	var value []byte
	err := m.h.untilOpen(life, m.req.ID, func(ctx context.Context) (err error) {
		value, err = m.kept.Claim(ctx)
		return err
	})
	if err != nil || len(value) == 0 {
		return err
	}
	k := decodeKept(value)
	m.mu.Lock()
	m.spent = k.spent
	m.mu.Unlock()
	if cost, ok := examined(m.job, k.best).(float64); ok {
		m.board.hear(k.best, cost)
		m.mu.Lock()
		m.version++
		m.mu.Unlock()
	}
	if s, ok := m.job.as().(Stateful); ok && len(k.state) > 0 {
		err := safely("Restore", func() error { return s.Restore(k.state) })
		if err != nil {
			m.h.cfg.OnError(fmt.Errorf("assist: job %q: restore its state: %w; going on without", m.req.ID, err))
		}
	}
	return nil
}

// keep keeps the best solution, the time that was spent, and the job's state.
func (m *searchMaster) keep(ctx context.Context) error {
	k := kept{state: m.state()}
	k.best, _, _ = m.board.get()
	m.mu.Lock()
	k.spent = m.elapsed()
	m.mu.Unlock()
	return m.kept.Save(ctx, k.encode())
}

// state is that of a job that has one.
func (m *searchMaster) state() (state []byte) {
	s, ok := m.job.as().(Stateful)
	if !ok {
		return nil
	}
	if err := safely("State", func() error { state = s.State(); return nil }); err != nil {
		m.h.cfg.OnError(fmt.Errorf("assist: job %q: %w", m.req.ID, err))
	}
	return state
}

// Progress is what a master reports while it works, as JSON. The next attempt
// goes on from what Config.Store has, not from this.
type Progress struct {
	Fraction   float64       `json:"fraction,omitempty"` // 0 to 1; missing while it is not known
	Done       uint64        `json:"done,omitempty"`     // units that have a result
	Units      uint64        `json:"units,omitempty"`    // all of them; 0 while there may be more
	Cost       *float64      `json:"cost,omitempty"`     // of a search: the least so far
	Elapsed    time.Duration `json:"elapsed,omitempty"`  // of a search: what all attempts have taken, in nanoseconds
	Helped     uint64        `json:"helped,omitempty"`   // of a search: better solutions of assistants, in this attempt
	Assistants int           `json:"assistants"`         // that help now, wherever they are
}

// reported is what is told of p.
func reported(job any, p Progress) (b []byte) {
	if r, ok := job.(ProgressReporter); ok {
		_ = safely("Progress", func() error { b = r.Progress(p); return nil })
		return b
	}
	b, err := json.Marshal(p)
	if err != nil {
		return nil
	}
	return b
}
