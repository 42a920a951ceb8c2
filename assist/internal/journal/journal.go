// Package journal keeps the results of units in a checkpoint.Store, so that a
// later attempt need not compute them again. Results are written in segments,
// each under a key of its own; which segments count stands in the head, which is
// a checkpoint.Progress, so an attempt that has been replaced cannot change it.
package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
)

// segmentBytes is how large a segment gets by taking in an earlier one or a
// further result. Small ones are merged, so that there are few of them.
const segmentBytes = 256 << 10

// Journal is the journal of one attempt. Its methods may be called by any
// goroutine.
type Journal struct {
	store    checkpoint.Store
	key      string
	progress *checkpoint.Progress

	writing  sync.Mutex // held while the head changes
	segments []segment  // as the head has them; guarded by writing

	mu       sync.Mutex
	fresh    []byte // records that no segment has yet
	flushing int    // bytes of those that are being written
}

// segment is a part of the journal.
type segment struct {
	name uint64 // in its key
	size uint64
}

// New returns the journal under a key. Nothing is read or written yet.
func New(store checkpoint.Store, key string) *Journal {
	return &Journal{store: store, key: key, progress: checkpoint.New(store, key)}
}

// Open takes the journal over from any earlier attempt and calls restore with
// each result that it recorded. A segment that has expired is passed over.
func (j *Journal) Open(ctx context.Context, restore func(i uint64, result []byte) error) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	head, err := j.progress.Claim(ctx)
	if err != nil {
		return err
	}
	if j.segments, err = decodeHead(head); err != nil {
		return err
	}
	var there []segment
	for _, s := range j.segments {
		e, err := j.store.Load(ctx, j.keyOf(s))
		if errors.Is(err, checkpoint.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := decodeRecords(e.Value, restore); err != nil {
			return fmt.Errorf("segment %q: %w", j.keyOf(s), err)
		}
		there = append(there, s)
	}
	j.segments = there
	return nil
}

// Revision grows with each attempt that opens the journal.
func (j *Journal) Revision() checkpoint.Revision { return j.progress.Revision() }

func (j *Journal) keyOf(s segment) string { return j.key + "/" + strconv.FormatUint(s.name, 36) }

// Add notes a result, to be kept by the next Flush.
func (j *Journal) Add(i uint64, result []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fresh = appendRecord(j.fresh, i, result)
}

// Unkept is how many bytes no Flush has kept yet.
func (j *Journal) Unkept() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.fresh) + j.flushing
}

// Flush keeps what was noted. The error wraps checkpoint.ErrSuperseded when
// another attempt has opened the journal; after another one Flush may be called
// again.
func (j *Journal) Flush(ctx context.Context) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	fresh := j.fresh
	j.fresh, j.flushing = nil, len(fresh)
	j.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	merged, err := j.flush(ctx, fresh)
	j.mu.Lock()
	if j.flushing = 0; err != nil {
		j.fresh = append(fresh, j.fresh...)
	}
	j.mu.Unlock()
	j.remove(ctx, merged)
	return err
}

// remove removes segments that do not count any more. One that it cannot remove
// expires.
func (j *Journal) remove(ctx context.Context, segments []segment) {
	for _, s := range segments {
		if j.store.Delete(ctx, j.keyOf(s)) != nil && ctx.Err() != nil {
			return
		}
	}
}

// flush writes records and returns the segments that are not needed any more.
func (j *Journal) flush(ctx context.Context, fresh []byte) (merged []segment, err error) {
	keep := j.segments
	body := fresh
	for len(keep) > 0 {
		last := keep[len(keep)-1]
		if last.size > 2*uint64(len(body)) || last.size+uint64(len(body)) > segmentBytes {
			break
		}
		e, err := j.store.Load(ctx, j.keyOf(last))
		if err != nil && !errors.Is(err, checkpoint.ErrNotFound) {
			return nil, err
		}
		body = append(e.Value, body...)
		merged = append(merged, last)
		keep = keep[:len(keep)-1]
	}
	segments := append([]segment(nil), keep...)
	for _, part := range split(body) {
		s := segment{name: rand.Uint64(), size: uint64(len(part))}
		if _, err := j.store.Save(ctx, j.keyOf(s), part); err != nil {
			return nil, err
		}
		segments = append(segments, s)
	}
	if err := j.progress.Save(ctx, encodeHead(segments)); err != nil {
		return nil, err
	}
	j.segments = segments
	return merged, nil
}

// Settled removes the journal of a request that was acked: the head at first, and
// the segments only if it was this attempt's to remove.
func (j *Journal) Settled(ctx context.Context, s occamy.Settlement) {
	if s != occamy.Acked {
		return
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	if j.Revision() == 0 {
		// The request ended before this attempt ran, perhaps after another did.
		if head, err := j.progress.Claim(ctx); err == nil {
			j.segments, _ = decodeHead(head)
		}
	}
	j.progress.Settled(ctx, s)
	if errors.Is(j.progress.Delete(ctx), checkpoint.ErrNotClaimed) {
		j.remove(ctx, j.segments)
	}
}

// errFormat: what the store has was not written by this package.
var errFormat = fmt.Errorf("journal: not a journal of this version: %w", checkpoint.ErrFormat)

const headVersion = 1

func encodeHead(segments []segment) []byte {
	b := []byte{headVersion}
	for _, s := range segments {
		b = binary.AppendUvarint(binary.AppendUvarint(b, s.name), s.size)
	}
	return b
}

func decodeHead(b []byte) (segments []segment, _ error) {
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != headVersion {
		return nil, errFormat
	}
	for b = b[1:]; len(b) > 0; {
		var s segment
		for _, field := range []*uint64{&s.name, &s.size} {
			n, k := binary.Uvarint(b)
			if k <= 0 {
				return nil, errFormat
			}
			*field, b = n, b[k:]
		}
		segments = append(segments, s)
	}
	return segments, nil
}

func appendRecord(b []byte, i uint64, result []byte) []byte {
	b = binary.AppendUvarint(b, i)
	b = binary.AppendUvarint(b, uint64(len(result)))
	return append(b, result...)
}

// record cuts the first record off.
func record(b []byte) (i uint64, result, rest []byte, err error) {
	i, k := binary.Uvarint(b)
	if k <= 0 {
		return 0, nil, nil, errFormat
	}
	n, m := binary.Uvarint(b[k:])
	if m <= 0 || n > uint64(len(b)-k-m) {
		return 0, nil, nil, errFormat
	}
	end := k + m + int(n)
	return i, b[k+m : end : end], b[end:], nil
}

func decodeRecords(b []byte, f func(i uint64, result []byte) error) error {
	for len(b) > 0 {
		i, result, rest, err := record(b)
		if err != nil {
			return err
		}
		if err := f(i, result); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// split cuts records into parts of at most segmentBytes, or of one record.
func split(b []byte) (parts [][]byte) {
	begin, end := 0, 0
	for end < len(b) {
		_, _, rest, err := record(b[end:])
		if err != nil {
			break // it is not written; the units are computed again
		}
		next := len(b) - len(rest)
		if next-begin > segmentBytes && end > begin {
			parts = append(parts, b[begin:end:end])
			begin = end
		}
		end = next
	}
	if end > begin {
		parts = append(parts, b[begin:end:end])
	}
	return parts
}
