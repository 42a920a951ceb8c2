package assist

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
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

	end context.CancelCauseFunc // of life; set by Do, before anybody reports

	// guarded by mu of crew
	version uint64 // grows with each better solution
	helped  uint64 // better solutions that assistants sent
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
	m := &searchMaster{crew: newCrew(h, r, job.as()), job: job}
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
	m.end = end
	searches, err := m.h.shape.(*searchShape).newJob(ctx, m.req)
	if err != nil {
		return err
	}
	if err := m.restore(life); err != nil {
		return err
	}
	m.mu.Lock()
	m.begun = time.Now()
	m.timer = time.AfterFunc(time.Hour, func() { end(errDone) })
	m.mu.Unlock()
	defer m.timer.Stop()
	m.limit()
	// What is sent outlives the end of life by a farewell.
	sending, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	m.begin(sending, m.epochOf())

	var beside sync.WaitGroup
	beside.Go(func() { m.tend(life, m.req.Attempt, m.progress) })
	if m.kept != nil {
		beside.Go(func() { m.save(life) })
	}
	err = searches.search(life, m.board)
	if life.Err() != nil {
		err = context.Cause(life)
	}
	end(errDone)
	beside.Wait()

	cause := context.Cause(ctx)
	again := cause != nil && !errors.Is(cause, occamy.ErrCancelled) && !errors.Is(cause, occamy.ErrTimeout) || errors.Is(err, occamy.ErrRequeue)
	m.dismiss(ctx, !again)
	switch {
	case cause != nil:
		m.last(ctx, cause)
		return cause
	case err != nil && !errors.Is(err, errDone):
		return err
	}
	return m.finish(ctx)
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
	if err := occamy.SetResult(ctx, result); err != nil && !errors.Is(err, occamy.ErrNoRequest) {
		return err
	}
	return nil
}

// epochOf tells the masters of one job apart; a later one has a higher epoch.
func (m *searchMaster) epochOf() uint64 {
	if m.kept != nil {
		return uint64(m.kept.Revision())
	}
	return uint64(time.Now().UnixNano())
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

// better tells the assistants of a better solution.
func (m *searchMaster) better() {
	m.check()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version++
	m.serveAll()
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
		m.version++
		m.helped++
		from.told = m.version // it has that one
		if target := m.limits.Target; target != nil && cost <= *target {
			m.end(errDone)
		}
		m.serveAll()
	}
	return true
}

// grant implements books.
func (m *searchMaster) grant(g *wire.Grant, to *member) bool {
	best, _, ok := m.board.get()
	if !ok || to.told == m.version || time.Since(to.bestAt) < gap(best) {
		return false
	}
	to.told, to.bestAt = m.version, time.Now()
	g.Best = best
	return true
}

// undo implements books.
func (m *searchMaster) undo(*wire.Grant, *member) {}

// gone implements books.
func (m *searchMaster) gone(*member, bool) {}

// tooLarge implements books: a search whose solutions cannot be sent goes on,
// each by itself.
func (m *searchMaster) tooLarge(_ *wire.Grant, err error) {
	go m.h.cfg.OnError(fmt.Errorf("assist: job %q: its best solution cannot be sent to assistants: %w", m.req.ID, err))
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
	spent, state, best := decodeKept(value)
	m.mu.Lock()
	m.spent = spent
	m.mu.Unlock()
	if cost, ok := examined(m.job, best).(float64); ok {
		m.board.hear(best, cost)
		m.mu.Lock()
		m.version++
		m.mu.Unlock()
	}
	if s, ok := m.job.as().(Stateful); ok && state != nil {
		err = safely("Restore", func() error { return s.Restore(state) })
		if err != nil {
			m.h.cfg.OnError(fmt.Errorf("assist: job %q: restore its state: %w; going on without", m.req.ID, err))
		}
	}
	return nil
}

// save keeps the best solution.
func (m *searchMaster) save(life context.Context) {
	tick := time.NewTicker(m.h.cfg.SavePeriod)
	defer tick.Stop()
	for {
		select {
		case <-life.Done():
			return
		case <-tick.C:
		}
		err := m.kept.Save(life, m.toKeep())
		switch {
		case err == nil || life.Err() != nil:
		case errors.Is(err, checkpoint.ErrSuperseded):
			m.end(superseded(err))
			return
		default:
			m.h.cfg.OnError(fmt.Errorf("assist: job %q: keep progress: %w", m.req.ID, err))
		}
	}
}

// last keeps the best solution of a master that is stopped.
func (m *searchMaster) last(ctx context.Context, cause error) {
	if m.kept == nil || errors.Is(cause, occamy.ErrDeliveryLost) || errors.Is(cause, occamy.ErrCancelled) {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	if err := m.kept.Save(last, m.toKeep()); err != nil {
		m.h.cfg.OnError(fmt.Errorf("assist: job %q: keep the last progress: %w", m.req.ID, err))
	}
}

const keptVersion = 1

func (m *searchMaster) toKeep() []byte {
	best, _, _ := m.board.get()
	var state []byte
	if s, ok := m.job.as().(Stateful); ok {
		if err := safely("State", func() error { state = s.State(); return nil }); err != nil {
			m.h.cfg.OnError(fmt.Errorf("assist: job %q: %w", m.req.ID, err))
		}
	}
	m.mu.Lock()
	elapsed := m.elapsed()
	m.mu.Unlock()
	b := binary.AppendUvarint([]byte{keptVersion}, uint64(elapsed))
	b = binary.AppendUvarint(b, uint64(len(state)))
	return slices.Concat(b, state, best)
}

// decodeKept returns nothing for what makes no sense, which helps nobody.
func decodeKept(b []byte) (spent time.Duration, state, best []byte) {
	if len(b) == 0 || b[0] != keptVersion {
		return 0, nil, nil
	}
	elapsed, k := binary.Uvarint(b[1:])
	if k <= 0 || elapsed > math.MaxInt64/2 {
		return 0, nil, nil
	}
	b = b[1+k:]
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return 0, nil, nil
	}
	b = b[k:]
	return time.Duration(elapsed), some(b[:n]), some(b[n:])
}

// some returns nil for no bytes.
func some(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
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
