package slots

import (
	"math"
	"time"
)

// later adds to a time without passing the end of all times.
func later(now, d time.Duration) time.Duration {
	if now > math.MaxInt64-d {
		return math.MaxInt64
	}
	return now + d
}

func (t *Table) openPeriod() {
	if t.open {
		return
	}
	t.open = true
	t.end = never
	if t.cfg.ExpansionPeriod >= 0 {
		t.end = later(t.now, t.cfg.ExpansionPeriod)
	}
}

// closePeriod gives the moves back and forgets who declined.
func (t *Table) closePeriod() {
	t.open = false
	t.moves = max(t.cfg.RebalanceMoves, 0)
	for i := t.declined.head; i != none; i = t.declined.head {
		t.forgive(i)
		t.sortAskable(i)
		t.sortOwner(t.ownerOf(i))
	}
}

func (t *Table) rollPeriod() {
	if t.open && t.now >= t.end {
		t.closePeriod()
	}
}

// decline notes that job i, which is Running, has no use for more in this
// period.
func (t *Table) decline(i int32) {
	t.openPeriod()
	if t.jobs[i].declined {
		return
	}
	t.jobs[i].declined = true
	t.push(&t.declined, byDecline, i)
	t.sortAskable(i)
	t.sortOwner(t.ownerOf(i))
}

// forgive forgets that job i has declined, if it has.
func (t *Table) forgive(i int32) {
	if t.jobs[i].declined {
		t.unlink(&t.declined, byDecline, i)
		t.jobs[i].declined = false
	}
}

func (t *Table) useMove() {
	t.moves--
	t.openPeriod()
}

// armExpansion asks for the expansion timer if somebody would gain by it.
func (t *Table) armExpansion() {
	if t.cfg.ExpansionPeriod < 0 || t.down {
		return
	}
	at := t.lapse()
	if t.wantsTimer() {
		t.openPeriod()
		at = min(at, t.end)
	}
	if at < t.due {
		t.due = at
		t.emit(ArmExpansion, 0, None).At = at
	}
}

func (t *Table) wantsTimer() bool {
	declined := t.declined.head != none
	if !declined && !t.contested() {
		return false
	}
	if t.spare() > 0 {
		return declined
	}
	if t.unprotectedRunning() == 0 {
		return false
	}
	if declined {
		return true
	}
	if t.cfg.RebalanceMoves > 0 && t.moves <= 0 && t.contested() {
		return true
	}
	youngest := t.queues[Running].tail
	return t.hungry[internal].top() != none && youngest != none && !t.old(youngest)
}
