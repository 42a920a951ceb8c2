package occamytest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/occamy-go/occamy"
)

// Monitor records what a server tells its monitors. Its zero value is ready to
// use, and it is safe for use by several goroutines.
type Monitor struct {
	mu        sync.Mutex
	errs      []error             // guarded by mu
	latencies []occamy.Latency    // guarded by mu
	changes   []occamy.SlotChange // guarded by mu
	more      chan struct{}       // closed at the next record; nil until somebody waits; guarded by mu
}

var (
	_ occamy.ErrorMonitor    = (*Monitor)(nil)
	_ occamy.LatencyMonitor  = (*Monitor)(nil)
	_ occamy.ResourceMonitor = (*Monitor)(nil)
)

// Monitors returns m as all three monitors, for a config.
func (m *Monitor) Monitors() occamy.Monitors {
	return occamy.Monitors{Error: m, Latency: m, Resource: m}
}

// RecordError implements occamy.ErrorMonitor.
func (m *Monitor) RecordError(err error) {
	m.record(func() { m.errs = append(m.errs, err) })
}

// RecordLatency implements occamy.LatencyMonitor.
func (m *Monitor) RecordLatency(l occamy.Latency) {
	m.record(func() { m.latencies = append(m.latencies, l) })
}

// RecordSlot implements occamy.ResourceMonitor.
func (m *Monitor) RecordSlot(c occamy.SlotChange) {
	m.record(func() { m.changes = append(m.changes, c) })
}

func (m *Monitor) record(add func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add()
	if m.more != nil {
		close(m.more)
		m.more = nil
	}
}

// Errors returns the errors recorded so far.
func (m *Monitor) Errors() []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.errs)
}

// Latencies returns the latencies recorded so far.
func (m *Monitor) Latencies() []occamy.Latency {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.latencies)
}

// Changes returns the changes of slots recorded so far.
func (m *Monitor) Changes() []occamy.SlotChange {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.changes)
}

// Matching returns the recorded errors for which errors.Is(err, target) holds.
func (m *Monitor) Matching(target error) []error {
	var found []error
	for _, err := range m.Errors() {
		if errors.Is(err, target) {
			found = append(found, err)
		}
	}
	return found
}

// WaitError waits for an error for which errors.Is(err, target) holds and
// returns the first one. It returns nil when ctx ends before that.
func (m *Monitor) WaitError(ctx context.Context, target error) error {
	var found error
	m.wait(ctx, func() bool {
		for _, err := range m.errs {
			if errors.Is(err, target) {
				found = err
				return true
			}
		}
		return false
	})
	return found
}

// WaitChange waits for a change of a slot that ok accepts and reports whether
// there was one before ctx ended.
func (m *Monitor) WaitChange(ctx context.Context, ok func(occamy.SlotChange) bool) bool {
	return m.wait(ctx, func() bool { return slices.ContainsFunc(m.changes, ok) })
}

// wait calls ok, under the lock, after each record until it holds or ctx ends.
func (m *Monitor) wait(ctx context.Context, ok func() bool) bool {
	for {
		m.mu.Lock()
		if ok() {
			m.mu.Unlock()
			return true
		}
		if m.more == nil {
			m.more = make(chan struct{})
		}
		more := m.more
		m.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return false
		}
	}
}
