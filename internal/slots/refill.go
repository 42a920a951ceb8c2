package slots

// noteArrival remembers whether an arrival was near the moment when a
// protected job last left its slot.
func (t *Table) noteArrival() {
	if t.left && t.now-t.lastLeft <= t.cfg.RefillDelay {
		t.near = true
	}
}

// noteLeave is told that a protected job has left its slot, which stays quiet
// where requests follow each other closely.
func (t *Table) noteLeave() {
	if t.cfg.RefillDelay <= 0 {
		return
	}
	if t.near {
		t.quiet++
		t.emit(ArmRefill, 0, None).At = later(t.now, t.cfg.RefillDelay)
	}
	t.near, t.left, t.lastLeft = false, true, t.now
}
