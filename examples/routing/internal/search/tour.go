package search

// tour is a round trip as an array with an index, changed by flips alone, so
// that a log of them leads back. reversed says in which direction it is read.
type tour struct {
	order    []int32 // the cities in the order of the trip
	pos      []int32 // where each city stands in order
	reversed bool
	log      []flip
	work     int // what has been done, in cities moved or looked at
}

// flip is a reversal of span positions, the first and the last of which are
// given; they may wrap around.
type flip struct {
	from, to, span int32
	turned         bool     // the rest of the trip was reversed instead
	ends           [3]int32 // cities whose edges changed
}

func (t *tour) set(order []int32) {
	copy(t.order, order)
	for i, c := range t.order {
		t.pos[c] = int32(i)
	}
	t.log = t.log[:0]
}

func (t *tour) next(c int32) int32 {
	if t.reversed {
		return t.before(c)
	}
	return t.after(c)
}

func (t *tour) prev(c int32) int32 {
	if t.reversed {
		return t.after(c)
	}
	return t.before(c)
}

func (t *tour) after(c int32) int32 {
	p := int(t.pos[c]) + 1
	if p == len(t.order) {
		p = 0
	}
	return t.order[p]
}

func (t *tour) before(c int32) int32 {
	p := int(t.pos[c]) - 1
	if p < 0 {
		p = len(t.order) - 1
	}
	return t.order[p]
}

// span is how many cities there are from a on to b, both counted.
func (t *tour) span(a, b int32) int {
	if t.reversed {
		a, b = b, a
	}
	d := int(t.pos[b]) - int(t.pos[a]) + 1
	if d <= 0 {
		d += len(t.order)
	}
	return d
}

// flip reverses the part from a on to b. It reverses the rest and the direction
// of reading instead where that is less work, which is the same trip.
func (t *tour) flip(a, b int32, ends [3]int32) {
	n := len(t.order)
	span := t.span(a, b)
	if t.reversed {
		a, b = b, a
	}
	f := flip{from: t.pos[a], to: t.pos[b], ends: ends}
	if 2*span > n {
		f.from, f.to = f.to+1, f.from-1
		if int(f.from) == n {
			f.from = 0
		}
		if f.to < 0 {
			f.to = int32(n - 1)
		}
		f.turned = true
		span = n - span
	}
	f.span = int32(span)
	t.swap(int(f.from), int(f.to), span)
	if f.turned {
		t.reversed = !t.reversed
	}
	t.log = append(t.log, f)
}

// undo takes flips back until the log is mark long.
func (t *tour) undo(mark int) {
	for len(t.log) > mark {
		f := t.log[len(t.log)-1]
		t.log = t.log[:len(t.log)-1]
		t.swap(int(f.from), int(f.to), int(f.span))
		if f.turned {
			t.reversed = !t.reversed
		}
	}
}

// swap reverses span positions, of which i is the first and j the last.
func (t *tour) swap(i, j, span int) {
	order, pos := t.order, t.pos
	n := len(order)
	t.work += span / 2
	for range span / 2 {
		a, b := order[i], order[j]
		order[i], order[j] = b, a
		pos[b], pos[a] = int32(i), int32(j)
		if i++; i == n {
			i = 0
		}
		if j--; j < 0 {
			j = n - 1
		}
	}
}

// flipCost is how many cities a flip would move.
func (t *tour) flipCost(a, b int32) int {
	span := t.span(a, b)
	return min(span, len(t.order)-span)
}
