package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// record is what the diaries of all servers say.
type record struct {
	mu      sync.Mutex
	changed chan struct{} // closed with the next change
	jobs    map[string]*jobRecord
	err     error
}

// jobRecord is what became of a request.
type jobRecord struct {
	slots  map[string]time.Time // the workers that compute a unit, and since when
	begun  []time.Time          // when the first, second, … worker began
	known  map[string]bool
	worked time.Duration // of the units that have ended
}

func newRecord() *record {
	return &record{changed: make(chan struct{}), jobs: make(map[string]*jobRecord)}
}

// job returns the record of a request. The caller holds the lock.
func (r *record) job(name string) *jobRecord {
	j := r.jobs[name]
	if j == nil {
		j = &jobRecord{slots: make(map[string]time.Time), known: make(map[string]bool)}
		r.jobs[name] = j
	}
	return j
}

// note takes a line of a diary.
func (r *record) note(line string) {
	var what, name, worker string
	var nanos int64
	_, err := fmt.Fscan(strings.NewReader(line), &what, &name, &worker, &nanos)
	at := time.Unix(0, nanos)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.err = fmt.Errorf("a diary has the line %q: %w", line, err)
		return
	}
	j := r.job(name)
	switch what {
	case "begin":
		j.slots[worker] = at
		if !j.known[worker] {
			j.known[worker] = true
			j.begun = append(j.begun, at)
		}
	case "end":
		j.worked += at.Sub(j.slots[worker])
		delete(j.slots, worker)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// limit of anything that should take milliseconds.
const limit = 30 * time.Second

// wait waits until n workers have begun for a request, and returns when the last
// of them did.
func (r *record) wait(ctx context.Context, name string, n int) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		r.mu.Lock()
		begun, err, changed := r.job(name).begun, r.err, r.changed
		r.mu.Unlock()
		switch {
		case err != nil:
			return time.Time{}, err
		case len(begun) >= n:
			return begun[n-1], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("request %s has had %d of %d slots: %w", name, len(begun), n, context.Cause(ctx))
		}
	}
}

// worked is how much slot time units took so far, all requests together.
func (r *record) worked(now time.Time) (sum time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range r.jobs {
		sum += j.worked
		for _, since := range j.slots {
			sum += max(now.Sub(since), 0)
		}
	}
	return sum
}
