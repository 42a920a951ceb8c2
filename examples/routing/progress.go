package routing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/occamy-go/occamy"
)

// Progress is what a task reports while it runs, and where the next attempt
// goes on.
type Progress struct {
	Fraction float64 `json:"fraction"` // of the time limit
	Name     string  `json:"name"`     // of the instance
	Length   int     `json:"length,omitempty"`
	// Milliseconds that all attempts have taken, and that they may take.
	ElapsedMS int64 `json:"elapsed_ms"`
	LimitMS   int64 `json:"limit_ms"`
	Target    int   `json:"target,omitempty"`
	Helped    int   `json:"helped"` // better tours of assistants, in this attempt
	Tour      []int `json:"tour,omitempty"`
}

const (
	// reportEvery is how often progress is reported for a small instance.
	reportEvery = 250 * time.Millisecond
	// lastCities is up to how many cities a task that is stopped still writes
	// down what it has found since its last report: more would take it long.
	lastCities = 5000
	// restoreTries is how often the progress of an earlier attempt is asked for.
	restoreTries = 5
)

// notes writes down the progress of a task.
type notes struct {
	m        *master
	start    time.Time
	ctx      context.Context // of Do: what is reported goes by it
	restored bool            // nothing worse than what is kept can be written
}

func newNotes(ctx context.Context, m *master, start time.Time) *notes {
	return &notes{m: m, start: start, ctx: ctx}
}

// keep hands the search what an earlier attempt left, while it runs already,
// and then reports until ctx ends.
func (n *notes) keep(ctx context.Context) {
	if !n.restore(ctx) {
		return
	}
	n.restored = true
	ticker := time.NewTicker(reportEvery + time.Duration(n.m.in.Cities())*20*time.Microsecond)
	defer ticker.Stop()
	for {
		if errors.Is(n.report(), occamy.ErrNoRequest) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// restore returns false when ctx ended first, or nobody keeps progress. When
// the broker cannot be asked, it lets the task go on as if there were none.
func (n *notes) restore(ctx context.Context) bool {
	for try := range restoreTries {
		b, err := occamy.LastProgress(ctx)
		switch {
		case err == nil:
			_ = n.m.resume(b) // what makes no sense helps nobody: begin anew
			return true
		case errors.Is(err, occamy.ErrNoRequest):
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(100 * time.Millisecond << try):
		}
	}
	return true
}

// last reports once more when the task was stopped, after keep has ended.
func (n *notes) last() {
	if n.restored && n.m.in.Cities() <= lastCities {
		_ = n.report() // the last report is kept then
	}
}

func (n *notes) report() error {
	b, err := json.Marshal(n.m.progress(time.Since(n.start)))
	if err != nil {
		return err
	}
	return occamy.ReportProgress(n.ctx, b)
}

// progress describes the task, whose Do has run for at.
func (m *master) progress(at time.Duration) Progress {
	limit := time.Duration(m.limit.Load())
	elapsed := time.Duration(m.spent.Load()) + at
	p := Progress{
		Fraction:  min(elapsed.Seconds()/limit.Seconds(), 1),
		Name:      m.in.Name,
		ElapsedMS: elapsed.Milliseconds(),
		LimitMS:   limit.Milliseconds(),
		Target:    int(m.target.Load()),
		Helped:    int(m.helped.Load()),
	}
	if best := m.best.Load(); best != nil {
		p.Length, p.Tour = best.length, m.in.tour(best.order)
	}
	return p
}

// resume goes on from the progress of an earlier attempt. Of progress that
// makes no sense it takes nothing.
func (m *master) resume(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var p Progress
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("routing: progress: %w", err)
	}
	most := maxLimit.Milliseconds()
	if p.ElapsedMS < 0 || p.ElapsedMS > 2*most || p.LimitMS < 0 || p.LimitMS > most || p.Target < 0 {
		return errors.New("routing: progress is out of bounds")
	}
	if p.Tour != nil {
		order, err := m.in.order(p.Tour)
		if err != nil {
			return fmt.Errorf("routing: progress: %w", err)
		}
		// Before the time is counted: the search may end at once then.
		m.post(&found{m.in.length(order), order})
	}
	m.aim(goals{time.Duration(p.LimitMS) * time.Millisecond, p.Target})
	m.spent.Store(int64(time.Duration(p.ElapsedMS) * time.Millisecond))
	return nil
}
