//go:build unix

package proof

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/occamy-go/occamy/checkpoint"
)

// auditedStore notes what is kept, from the bytes that the store has taken.
type auditedStore struct {
	checkpoint.Store
	audit *audit

	mu    sync.Mutex
	units map[string]map[int]bool // in the segments of a job; guarded by mu
}

// jobOf returns the job of a key, which is assist/KIND/JOB or, of a segment,
// assist/KIND/JOB/NAME.
func jobOf(key string) (job string, segment bool) {
	parts := strings.Split(key, "/")
	return parts[2], len(parts) > 3
}

func (s *auditedStore) Load(ctx context.Context, key string) (checkpoint.Entry, error) {
	e, err := s.Store.Load(ctx, key)
	if err == nil {
		s.hasUnits(key, e.Value)
	}
	return e, err
}

func (s *auditedStore) Save(ctx context.Context, key string, value []byte) (checkpoint.Revision, error) {
	rev, err := s.Store.Save(ctx, key, value)
	if err == nil {
		s.hasUnits(key, value)
	}
	return rev, err
}

// hasUnits takes the numbers of units from a segment, which is a sequence of
// number, length and result.
func (s *auditedStore) hasUnits(key string, value []byte) {
	job, segment := jobOf(key)
	if !segment {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.units == nil {
		s.units = map[string]map[int]bool{}
	}
	if s.units[job] == nil {
		s.units[job] = map[int]bool{}
	}
	for r := bytes.NewReader(value); r.Len() > 0; {
		i, _ := binary.ReadUvarint(r)
		n, _ := binary.ReadUvarint(r)
		_, _ = r.Seek(int64(n), 1)
		s.units[job][int(i)] = true
	}
}

// CompareAndSave is how the head of a job is written: with that, what its
// segments have is kept. The head of a search ends with its best solution.
func (s *auditedStore) CompareAndSave(ctx context.Context, key string, value []byte, rev checkpoint.Revision) (checkpoint.Revision, error) {
	job, _ := jobOf(key)
	s.mu.Lock()
	units := slices.Collect(maps.Keys(s.units[job]))
	s.mu.Unlock()
	got, err := s.Store.CompareAndSave(ctx, key, value, rev)
	if err == nil {
		e := event{Job: job, What: keeps, Kept: units, Rev: uint64(got)}
		if strings.HasPrefix(key, "assist/search/") {
			e.Cost, _ = strconv.Atoi(string(value[bytes.LastIndexByte(value, 1)+1:]))
		}
		s.audit.note(e)
	}
	return got, err
}

func (s *auditedStore) CompareAndDelete(ctx context.Context, key string, rev checkpoint.Revision) error {
	if d, ok := s.Store.(checkpoint.CompareAndDeleter); ok {
		return d.CompareAndDelete(ctx, key, rev)
	}
	return errors.ErrUnsupported
}
