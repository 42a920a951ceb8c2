package slots

import (
	"math"
	"time"
)

// never is when a timer fires that is not armed.
const never = time.Duration(math.MaxInt64)

// ninths is how much of the headroom a request takes that finds an empty slot,
// where one that finds none adds a slot: they are even when one in ten finds
// none, whatever the requests are like.
const ninths = 9

// headroom is how many slots are kept empty for requests that have not come yet.
func (t *Table) headroom() int { return t.headroomWith(t.extra) }

func (t *Table) headroomWith(extra int) int { return t.cfg.Headroom + (extra+ninths/2)/ninths }

// Headroom returns the headroom that is in force at a time.
func (t *Table) Headroom(now time.Duration) int {
	extra, _ := t.faded(now)
	return t.headroomWith(extra)
}

// noteRequest learns from a request that is about to be placed.
func (t *Table) noteRequest() {
	most := (t.cfg.MaxHeadroom - t.cfg.Headroom) * ninths
	if most <= 0 {
		return
	}
	if t.empty.n > 0 {
		t.extra = max(t.extra-1, 0)
	} else {
		t.extra = min(t.extra+ninths, most)
	}
	if t.empty.n <= 1 { // all that is kept empty is needed
		t.fade = later(t.now, t.cfg.HeadroomMemory)
	}
}

// faded returns what is left of the extra headroom at a time, and when the next
// half of it goes.
func (t *Table) faded(now time.Duration) (extra int, next time.Duration) {
	extra, next = t.extra, t.fade
	for t.cfg.HeadroomMemory > 0 && extra > 0 && now >= next {
		extra, next = extra/2, later(next, t.cfg.HeadroomMemory)
	}
	return extra, next
}

// lapse returns when so little of the headroom will be left that somebody gets
// a slot.
func (t *Table) lapse() time.Duration {
	if t.extra == 0 || t.cfg.HeadroomMemory <= 0 || t.spare() > 0 || !t.contested() {
		return never
	}
	at := t.fade
	for extra := t.extra; extra > 0; at = later(at, t.cfg.HeadroomMemory) {
		extra /= 2
		if t.empty.n-t.back > max(t.headroomWith(extra), t.expected()) {
			return at
		}
	}
	return never
}
