package checkpoint

import "time"

// MakeOld has a value be saved that much earlier, before all others.
func MakeOld(m *Memory, key string, by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[key]; ok {
		old := e.Value.(*memoryEntry)
		old.saved = old.saved.Add(-by)
		m.bySaved.MoveToFront(e)
	}
}
