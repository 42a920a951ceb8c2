// Package ledger is the bookkeeping of a job that consists of units: which are
// still to be computed, who has which, and whose result has come. Each result
// is counted once, however often its unit ran. It is a state machine without
// goroutine, lock, clock or I/O; whoever uses it guards it.
package ledger

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/occamy-go/occamy/assist/internal/wire"
)

// Holder is who has units: a run of an assistant, or the master itself.
type Holder struct {
	ID  string
	Run uint64
}

// Config bounds a ledger.
type Config struct {
	Window  int  // units that are known and not collected, at most
	Bytes   int  // of their bodies, and of results, above which little more is taken on
	Retries int  // how often a unit that failed runs again
	Losses  int  // how often a unit may be with somebody who was lost
	Ordered bool // results are collected in the order of the units
}

// UnitError says which unit made a job fail.
type UnitError struct {
	Index  uint64
	Runs   int // that failed, or ended with the process
	Reason string
}

func (e *UnitError) Error() string {
	return fmt.Sprintf("unit %d has failed %d times, the last time with: %s", e.Index, e.Runs, e.Reason)
}

// Ledger is made by New.
type Ledger struct {
	cfg    Config
	next   uint64              // the index of the next unit
	closed bool                // there is no next unit
	open   map[uint64]*unit    // those that are known and have no result
	free   indices             // of open, those that nobody has
	leases map[Holder][]uint64 // of open, in the order in which they were leased
	done   set                 // those that have a result, known or not
	ready  map[uint64][]byte   // results to collect
	order  []uint64            // of ready, as they came; unused when Ordered
	taken  uint64              // results that were collected
	bodies int                 // bytes of open
	wait   int                 // bytes of ready
	result int                 // how large a result is, lately
}

type unit struct {
	body     []byte
	holder   Holder
	leased   bool
	grant    uint64 // with which it was leased
	failures int
	losses   int
}

// New returns a ledger without units.
func New(cfg Config) *Ledger {
	return &Ledger{
		cfg: cfg, open: make(map[uint64]*unit), leases: make(map[Holder][]uint64),
		done: set{above: make(map[uint64]struct{})}, ready: make(map[uint64][]byte),
	}
}

// Room says whether there is room for another unit. There always is for one that
// is done, and for the first that is not when nothing can be collected before.
func (l *Ledger) Room() bool {
	switch {
	case l.closed:
		return false
	case l.next < l.done.low, l.next == l.done.low && !l.Collectable():
		return true
	}
	return len(l.open)+len(l.ready) < l.cfg.Window && l.bodies+l.wait < l.cfg.Bytes
}

// Collectable says whether a result can be collected.
func (l *Ledger) Collectable() bool {
	if l.cfg.Ordered {
		_, ok := l.ready[l.taken]
		return ok
	}
	return len(l.order) > 0
}

// Add adds the next unit. One whose result is there already is only counted.
func (l *Ledger) Add(body []byte) {
	i := l.next
	l.next++
	if l.done.has(i) {
		return
	}
	l.open[i] = &unit{body: body}
	l.bodies += len(body)
	heap.Push(&l.free, i)
}

// ErrPlan is returned when there are fewer units than an earlier attempt had
// results for.
var ErrPlan = errors.New("the job yields other units than in an earlier attempt; it must yield the same for the same request")

// Close says that there are no more units.
func (l *Ledger) Close() error {
	l.closed = true
	if l.done.low > l.next || len(l.done.above) > 0 && slices.Max(slices.Collect(maps.Keys(l.done.above))) >= l.next {
		return ErrPlan
	}
	return nil
}

// Restore notes a result that an earlier attempt recorded, before any unit is
// added.
func (l *Ledger) Restore(i uint64, result []byte) {
	if !l.done.has(i) {
		l.count(i, result)
	}
}

// Units is how many units are known, and whether that is all.
func (l *Ledger) Units() (n uint64, all bool) { return l.next, l.closed }

// Done is how many units have a result.
func (l *Ledger) Done() uint64 { return l.done.len() }

// Complete says whether each unit's result was collected.
func (l *Ledger) Complete() bool { return l.closed && l.taken == l.next }

// Free is how many units may be leased now: as many as have room for their
// results. When nothing can be collected, the first unit without a result may be
// leased in any case, since what waits may wait for it.
func (l *Ledger) Free() int {
	n := len(l.free)
	if n == 0 {
		return 0
	}
	leased := len(l.open) - n
	n = min(n, max((l.cfg.Bytes-l.wait)/max(l.result, 1)-leased, 0))
	if n == 0 && l.free[0] == l.done.low && !l.Collectable() {
		return 1
	}
	return n
}

// Untaken is how many units nobody has, whether they may be leased now or not.
func (l *Ledger) Untaken() int { return len(l.free) }

// Lease gives h up to n units, the first ones, with a grant of the given number.
func (l *Ledger) Lease(h Holder, n int, grant uint64) []wire.Unit {
	n = min(n, l.Free())
	if n <= 0 {
		return nil
	}
	units := make([]wire.Unit, n)
	for k := range units {
		i := heap.Pop(&l.free).(uint64)
		units[k] = wire.Unit{Index: i, Body: l.open[i].body}
		l.lease(i, h, grant)
	}
	return units
}

// LeaseLast is Lease of the last units that are free: those that are least likely
// to be with somebody who has not said so yet.
func (l *Ledger) LeaseLast(h Holder, n int, grant uint64) (units []wire.Unit) {
	if l.Free() == 1 {
		return l.Lease(h, n, grant) // it may be the one that all wait for
	}
	for n = min(n, l.Free()); len(units) < n; {
		i := heap.Remove(&l.free, len(l.free)-1).(uint64)
		units = append(units, wire.Unit{Index: i, Body: l.open[i].body})
		l.lease(i, h, grant)
	}
	return units
}

func (l *Ledger) lease(i uint64, h Holder, grant uint64) {
	u := l.open[i]
	u.leased, u.holder, u.grant = true, h, grant
	l.leases[h] = append(l.leases[h], i)
}

// Has is how many units h has.
func (l *Ledger) Has(h Holder) int { return len(l.leases[h]) }

// Result notes the result of a unit, from whomever it comes. It says whether it
// counts: it does not when there is one already, or there is no such unit.
func (l *Ledger) Result(i uint64, result []byte) bool {
	u := l.open[i]
	switch {
	case l.done.has(i):
		return false
	case u == nil && (l.closed || i < l.next || i-l.next >= uint64(l.cfg.Window)):
		return false // nothing is kept for a unit that is far from being known
	case u != nil:
		l.remove(i)
	}
	l.count(i, result)
	return true
}

func (l *Ledger) count(i uint64, result []byte) {
	l.done.add(i)
	l.ready[i] = result
	l.wait += len(result)
	if l.result == 0 {
		l.result = len(result)
	}
	l.result += (len(result) - l.result) / 8
	if !l.cfg.Ordered {
		l.order = append(l.order, i)
	}
}

// remove takes a unit out of those that have no result.
func (l *Ledger) remove(i uint64) {
	u := l.open[i]
	l.bodies -= len(u.body)
	if u.leased {
		l.unlease(i)
	} else {
		heap.Remove(&l.free, slices.Index(l.free, i))
	}
	delete(l.open, i)
}

// unlease takes a unit from whoever has it.
func (l *Ledger) unlease(i uint64) {
	u := l.open[i]
	if !u.leased {
		return
	}
	held := l.leases[u.holder]
	held = slices.Delete(held, slices.Index(held, i), slices.Index(held, i)+1)
	if len(held) == 0 {
		delete(l.leases, u.holder)
	} else {
		l.leases[u.holder] = held
	}
	u.leased = false
}

func (l *Ledger) release(i uint64) {
	if u := l.open[i]; u != nil && u.leased {
		l.unlease(i)
		heap.Push(&l.free, i)
	}
}

// Failed notes that a unit failed where h computed it, which has heard of all
// grants up to the given one; the unit runs again, or else the error says that it
// must not. It counts for the lease that h has, once, and not for an earlier one.
func (l *Ledger) Failed(i uint64, h Holder, heard uint64, reason string) error {
	u := l.open[i]
	if u == nil || !u.leased || u.holder != h || u.grant > heard {
		return nil
	}
	u.failures++
	if u.failures > l.cfg.Retries {
		return &UnitError{Index: i, Runs: u.failures, Reason: reason}
	}
	l.release(i)
	return nil
}

// Return frees the units that h has, but for those that it keeps.
func (l *Ledger) Return(h Holder, keep ...uint64) {
	for _, i := range slices.Clone(l.leases[h]) {
		if !slices.Contains(keep, i) {
			l.release(i)
		}
	}
}

// Unheard is how many units h has by grants after the given one.
func (l *Ledger) Unheard(h Holder, heard uint64) (n int) {
	for _, i := range l.leases[h] {
		if l.open[i].grant > heard {
			n++
		}
	}
	return n
}

// Holders is how many have units.
func (l *Ledger) Holders() int { return len(l.leases) }

// Take takes single units back from h.
func (l *Ledger) Take(h Holder, units []wire.Unit) {
	for _, w := range units {
		if u := l.open[w.Index]; u != nil && u.leased && u.holder == h {
			l.release(w.Index)
		}
	}
}

// Lost frees the units of h, who is gone without a word. The one that it was
// about to compute may be to blame: the error says when that was so too often.
func (l *Ledger) Lost(h Holder) error {
	held := l.leases[h]
	if len(held) == 0 {
		return nil
	}
	i := held[0]
	u := l.open[i]
	u.losses++
	l.Return(h)
	if u.losses > l.cfg.Losses {
		return &UnitError{Index: i, Runs: u.losses, Reason: "whoever computed it was lost, perhaps by a crash"}
	}
	return nil
}

// Holds brings the ledger to what h says it has, having heard of all grants up
// to the given one: what it does not have is free, and what nobody has is its.
func (l *Ledger) Holds(h Holder, held []uint64, heard, grant uint64) {
	var lost []uint64
	for _, i := range l.leases[h] {
		if l.open[i].grant <= heard && !slices.Contains(held, i) {
			lost = append(lost, i)
		}
	}
	for _, i := range lost {
		l.release(i)
	}
	for _, i := range held {
		if u := l.open[i]; u != nil && !u.leased {
			heap.Remove(&l.free, slices.Index(l.free, i))
			l.lease(i, h, grant)
		}
	}
}

// Collect returns the next result to be collected; false when there is none yet.
func (l *Ledger) Collect() (i uint64, result []byte, ok bool) {
	if l.cfg.Ordered {
		i = l.taken
	} else if len(l.order) > 0 {
		i = l.order[0]
	}
	if result, ok = l.ready[i]; !ok {
		return 0, nil, false
	}
	if !l.cfg.Ordered {
		l.order = l.order[1:]
	}
	delete(l.ready, i)
	l.wait -= len(result)
	l.taken++
	return i, result, true
}

// indices is a heap with the least index on top.
type indices []uint64

func (h indices) Len() int           { return len(h) }
func (h indices) Less(i, j int) bool { return cmp.Less(h[i], h[j]) }
func (h indices) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *indices) Push(x any)        { *h = append(*h, x.(uint64)) }
func (h *indices) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// set is a set of indices, most of which follow each other from 0.
type set struct {
	low   uint64 // all below are in the set
	above map[uint64]struct{}
}

func (s *set) has(i uint64) bool {
	_, ok := s.above[i]
	return ok || i < s.low
}

func (s *set) add(i uint64) {
	s.above[i] = struct{}{}
	for {
		if _, ok := s.above[s.low]; !ok {
			return
		}
		delete(s.above, s.low)
		s.low++
	}
}

func (s *set) len() uint64 { return s.low + uint64(len(s.above)) }
