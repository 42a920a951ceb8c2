package assist

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/journal"
	"github.com/occamy-go/occamy/assist/internal/ledger"
)

// unitsMaster is the task of a request for a job that consists of units. It keeps
// the books, and computes units itself.
type unitsMaster struct {
	*crew
	units   unitsBooks       // guarded by mu of crew
	job     unitsJob         // the one of the books
	journal *journal.Journal // nil: nothing is kept

	end context.CancelCauseFunc // of life; set by Do
	err error                   // why the job failed; guarded by mu of crew
}

// self is the master as a holder of units.
var self = ledger.Holder{}

// losses is how often a unit may be with an assistant that is lost.
const losses = 4

// errDone ends what works for a job that is complete.
var errDone = errors.New("assist: the job is complete")

func (s *unitsShape) newMaster(ctx context.Context, h *handler, r occamy.Request) (occamy.Task, error) {
	job, err := s.newJob(ctx, r)
	if err != nil {
		return nil, err
	}
	m := &unitsMaster{crew: newCrew(h, r, job.as()), job: job}
	m.units = unitsBooks{
		Ledger: ledger.New(ledger.Config{
			Window: h.cfg.Window, Bytes: h.cfg.Buffer, Retries: h.cfg.Retries, Losses: losses, Ordered: h.cfg.Ordered,
		}),
		crew: m.crew, record: func(uint64, []byte) {}, fail: m.fail,
	}
	m.books = &m.units
	if h.cfg.Store != nil && r.ID != "" {
		m.journal = journal.New(h.cfg.Store, progressKey(r))
		m.units.record = m.journal.Add
	}
	return m, nil
}

// Details leaves all to the headers of the request.
func (m *unitsMaster) Details() occamy.Details { return occamy.Details{} }

// Expand implements occamy.Expander.
func (m *unitsMaster) Expand(_ context.Context, n int) []occamy.Task { return m.expand(n) }

// Control implements occamy.Controller.
func (m *unitsMaster) Control(ctx context.Context, headers occamy.Headers, body []byte) error {
	return m.control(ctx, headers, body)
}

// Settled implements occamy.SettleObserver.
func (m *unitsMaster) Settled(ctx context.Context, s occamy.Settlement) {
	if m.journal != nil {
		m.journal.Settled(ctx, s)
	}
}

// Do implements occamy.Task.
func (m *unitsMaster) Do(ctx context.Context) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	m.end = end
	computes, err := m.h.shape.(*unitsShape).newJob(ctx, m.req)
	if err != nil {
		return err
	}
	if err := m.restore(life); err != nil {
		return m.stopped(ctx, err)
	}
	if m.req.Attempt > 1 {
		m.units.takeover = time.Now().Add(m.h.cfg.adoption())
	}
	m.begin(ctx, m.claimed())
	wake := context.AfterFunc(life, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.changed.Broadcast()
	})
	defer wake()

	var beside sync.WaitGroup
	beside.Go(func() { m.plan(life) })
	beside.Go(func() { m.gather(life) })
	beside.Go(func() { m.tend(life, m.req.Attempt, m.progress) })
	if m.journal != nil {
		beside.Go(func() { m.save(life, m.flush, m.failed) })
	}
	m.compute(life, computes)
	end(errDone)
	beside.Wait()

	m.mu.Lock()
	err, complete := m.err, m.units.complete()
	m.mu.Unlock()
	cause := context.Cause(ctx)
	m.dismiss(ctx, complete && err == nil || forGood(cause, err))
	switch {
	case cause != nil:
		return m.stopped(ctx, cause)
	case err != nil:
		return m.stopped(ctx, err)
	}
	result, err := m.job.result(ctx)
	if err != nil {
		return m.stopped(ctx, err)
	}
	return setResult(ctx, result)
}

// stopped keeps what is not kept yet.
func (m *unitsMaster) stopped(ctx context.Context, why error) error {
	if m.journal != nil {
		m.saveLast(ctx, why, m.journal.Flush)
	}
	return why
}

// flush keeps what has been done. What waited for that may go on.
func (m *unitsMaster) flush(ctx context.Context) error {
	err := m.journal.Flush(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed.Broadcast()
	return err
}

// restore takes over what earlier attempts have recorded.
func (m *unitsMaster) restore(life context.Context) error {
	if m.journal == nil {
		return nil
	}
	var refused error // by the job, so trying again is of no use
	err := m.h.untilOpen(life, m.req.ID, func(ctx context.Context) error {
		err := m.journal.Open(ctx, func(i uint64, result []byte) error {
			m.mu.Lock()
			m.units.Restore(i, result)
			m.mu.Unlock()
			refused = m.collect(ctx)
			return refused
		})
		if refused != nil {
			return nil
		}
		return err
	})
	if err == nil {
		err = refused
	}
	return err
}

// claimed is the epoch of the attempt.
func (m *unitsMaster) claimed() uint64 {
	if m.journal == nil {
		return epochOf(0)
	}
	return epochOf(m.journal.Revision())
}

// fail ends the job. The caller holds the lock.
func (m *unitsMaster) fail(err error) {
	if m.err == nil {
		m.units.failed = true
		m.err = fmt.Errorf("assist: %w", err)
		m.end(m.err)
	}
}

func (m *unitsMaster) failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail(err)
}

// await waits, with the lock held, until ready or the end of life, of which it
// says no.
func (m *unitsMaster) await(life context.Context, ready func() bool) bool {
	for !ready() {
		if life.Err() != nil {
			return false
		}
		m.changed.Wait()
	}
	return life.Err() == nil
}

// plan adds units as there is room for them.
func (m *unitsMaster) plan(life context.Context) {
	err := safely("Units", func() error {
		for u, err := range m.job.units(life) {
			if err != nil {
				return err
			}
			m.mu.Lock()
			if !m.await(life, m.units.Room) {
				m.mu.Unlock()
				return nil
			}
			m.units.Add(u)
			m.news()
			m.unlock()
		}
		m.mu.Lock()
		defer m.unlock()
		if life.Err() != nil {
			return nil // it stopped for that
		}
		err := m.units.Close()
		m.news()
		return err
	})
	if err != nil && life.Err() == nil {
		m.failed(err)
	}
}

// news tells those who wait that there is something new. The caller holds the
// lock, which it gives back by unlock.
func (m *unitsMaster) news() {
	m.changed.Broadcast()
	m.serveAll()
}

// gather has results collected as they come.
func (m *unitsMaster) gather(life context.Context) {
	for {
		m.mu.Lock()
		ok := m.await(life, m.collectable)
		m.mu.Unlock()
		if !ok {
			return
		}
		if err := m.collect(life); err != nil {
			if life.Err() == nil {
				m.failed(err)
			}
			return
		}
	}
}

// collectable says whether a result can be collected. While the store does not
// take what has been collected, nothing further is, so that memory has a bound.
func (m *unitsMaster) collectable() bool {
	return m.units.Collectable() && (m.journal == nil || m.journal.Unkept() < m.h.cfg.Buffer)
}

// collect collects what can be.
func (m *unitsMaster) collect(ctx context.Context) error {
	for {
		m.mu.Lock()
		if !m.collectable() {
			m.mu.Unlock()
			return nil
		}
		i, result, _ := m.units.Collect()
		m.mu.Unlock()
		if err := m.job.collect(ctx, i, result); err != nil {
			return fmt.Errorf("collect unit %d: %w", i, err)
		}
		m.mu.Lock()
		m.units.collected++
		m.news()
		m.unlock()
	}
}

// compute computes units until the job is complete or life ends.
func (m *unitsMaster) compute(life context.Context, job unitsJob) {
	for {
		m.mu.Lock()
		ready := func() bool { return m.units.complete() || m.units.Free() > 0 }
		if !m.await(life, ready) || m.units.complete() {
			m.mu.Unlock()
			return
		}
		u := m.units.lease(self, 1, 0)[0]
		m.mu.Unlock()
		result, err := job.compute(life, u.Body)
		m.mu.Lock()
		switch {
		case err == nil:
			m.units.done(u.Index, result)
		case life.Err() != nil:
		default:
			if err := m.units.Failed(u.Index, self, 0, reason(err)); err != nil {
				m.fail(err)
			}
		}
		m.news()
		m.unlock()
	}
}

// progress is what the sender of the request is told.
func (m *unitsMaster) progress() []byte {
	m.mu.Lock()
	n, all := m.units.Units()
	p := Progress{Done: m.units.Done(), Assistants: len(m.members)}
	if all {
		p.Units = n
		p.Fraction = float64(p.Done) / float64(max(n, 1))
	}
	m.mu.Unlock()
	return reported(m.job.as(), p)
}
