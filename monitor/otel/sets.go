package otel

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// sets are the attribute sets of what is recorded with each request: to make one
// takes longer than to record. There are as many as there are series, and no more
// than mostSets whatever is recorded.
type sets struct {
	mu   sync.Mutex
	made map[setKey]*set
}

const mostSets = 1 << 14

// setKey is a kind and what is known beside it; unused pairs are empty.
type setKey struct {
	kind string
	more [2]pair
}

type pair struct{ key, value string }

// set is an attribute set as what is recorded and what is added take it.
type set struct {
	record []metric.RecordOption
	add    []metric.AddOption
}

// of returns the set of a kind and at most two pairs.
func (s *sets) of(kind string, more ...pair) *set {
	key := setKey{kind: kind}
	copy(key.more[:], more)
	s.mu.Lock()
	defer s.mu.Unlock()
	if made := s.made[key]; made != nil {
		return made
	}
	all := []attribute.KeyValue{attribute.String("occamy.kind", kind)}
	for _, p := range more {
		all = append(all, attribute.String(p.key, p.value))
	}
	option := metric.WithAttributeSet(attribute.NewSet(all...))
	made := &set{record: []metric.RecordOption{option}, add: []metric.AddOption{option}}
	if s.made == nil {
		s.made = make(map[setKey]*set)
	}
	if len(s.made) < mostSets {
		s.made[key] = made
	}
	return made
}
