package checkpoint

import (
	"bytes"
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// Options say how a Memory is to work; the zero value is useful.
type Options struct {
	// MaxAge is how long a value is kept after its last save. Zero:
	// DefaultMaxAge; negative: for ever.
	MaxAge time.Duration

	// MaxValue is the largest value, in bytes. Zero: DefaultMaxValue;
	// negative: no limit.
	MaxValue int
}

// Memory is a Store in this process, which ends with it: for tests, and where a
// restart of the process may begin anew. Its zero value is empty and ready to
// use. Revisions are those of one counter for all keys.
type Memory struct {
	opts Options

	mu       sync.Mutex
	entries  map[string]*list.Element // of a memoryEntry; guarded by mu
	bySaved  list.List                // the oldest first; guarded by mu
	revision Revision                 // the last one; guarded by mu
}

type memoryEntry struct {
	key   string
	saved time.Time
	Entry
}

// NewMemory makes a Memory with options.
func NewMemory(o Options) *Memory { return &Memory{opts: o} }

// Load implements Store.
func (m *Memory) Load(ctx context.Context, key string) (Entry, error) {
	if err := m.begin(ctx, key); err != nil {
		return Entry{}, err
	}
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	if !ok {
		return Entry{}, fmt.Errorf("%w: %q", ErrNotFound, key)
	}
	found := e.Value.(*memoryEntry).Entry
	found.Value = bytes.Clone(found.Value)
	return found, nil
}

// Save implements Store.
func (m *Memory) Save(ctx context.Context, key string, value []byte) (Revision, error) {
	return m.save(ctx, key, value, nil)
}

// CompareAndSave implements Store.
func (m *Memory) CompareAndSave(ctx context.Context, key string, value []byte, rev Revision) (Revision, error) {
	return m.save(ctx, key, value, &rev)
}

func (m *Memory) save(ctx context.Context, key string, value []byte, want *Revision) (Revision, error) {
	if most := m.maxValue(); most >= 0 {
		if err := CheckSize(len(value), most); err != nil {
			return 0, err
		}
	}
	value = bytes.Clone(value)
	if err := m.begin(ctx, key); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	if err := m.compare(key, want); err != nil {
		return 0, err
	}
	m.remove(key)
	m.revision++
	e := &memoryEntry{key: key, saved: time.Now(), Entry: Entry{Value: value, Revision: m.revision}}
	if m.entries == nil {
		m.entries = make(map[string]*list.Element)
	}
	m.entries[key] = m.bySaved.PushBack(e)
	return m.revision, nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.remove(key)
	return nil
}

// CompareAndDelete implements CompareAndDeleter.
func (m *Memory) CompareAndDelete(ctx context.Context, key string, rev Revision) error {
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if err := m.compare(key, &rev); err != nil {
		return err
	}
	m.remove(key)
	return nil
}

// Len returns how many keys have a value.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	return len(m.entries)
}

// begin checks what every method checks. When it returns nil it has taken the
// lock, and what has expired is gone.
func (m *Memory) begin(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	m.expire()
	return nil
}

// expire costs as much as there is to remove. The caller holds the lock.
func (m *Memory) expire() {
	age := m.opts.MaxAge
	if age < 0 {
		return
	}
	if age == 0 {
		age = DefaultMaxAge
	}
	for e := m.bySaved.Front(); e != nil; e = m.bySaved.Front() {
		old := e.Value.(*memoryEntry)
		if time.Since(old.saved) < age {
			return
		}
		m.remove(old.key)
	}
}

func (m *Memory) compare(key string, want *Revision) error {
	if want == nil {
		return nil
	}
	var is Revision
	if e, ok := m.entries[key]; ok {
		is = e.Value.(*memoryEntry).Revision
	}
	if is != *want {
		return fmt.Errorf("%w: %q is at %d, not %d", ErrConflict, key, is, *want)
	}
	return nil
}

func (m *Memory) remove(key string) {
	if e, ok := m.entries[key]; ok {
		m.bySaved.Remove(e)
		delete(m.entries, key)
	}
}

func (m *Memory) maxValue() int {
	if m.opts.MaxValue == 0 {
		return DefaultMaxValue
	}
	return m.opts.MaxValue
}
