package search

// breadths is how many ways a chain of flips tries at each of its first levels;
// after them it goes on with the best one, down to maxDepth.
var breadths = [...]int{5, 2}

const (
	maxDepth   = 6
	maxBreadth = 5
	maxSegment = 3 // of cities that moveSegment takes elsewhere
)

// improve looks for a better tour that lacks one of the edges of city c. It
// reports whether it found one, and the cities whose edges changed are queued.
func (s *Search) improve(c int32) bool {
	for _, reversed := range [2]bool{false, true} {
		s.t.reversed = reversed
		mark := len(s.t.log)
		s.chainGain, s.chainMark = 0, mark
		end := s.t.next(c)
		s.chain(0, s.m.dist(c, end), c, end)
		if s.chainGain > 0 {
			s.t.undo(s.chainMark)
			s.length -= s.chainGain
			s.queueEnds(mark)
			return true
		}
	}
	return s.moveSegment(c)
}

// option is one flip that a chain can go on with.
type option struct {
	value  int // what the removed edge is longer than the added one
	gain   int // of the path, once it is done
	t3, t4 int32
	tail   bool // the flip is at t1, otherwise at t2
}

// chain goes on from the path that is left when the edge from t1 to t2, its
// next, is taken out of the tour. gain is what the path is shorter than the
// tour that the chain began with. It leaves the flips in the log that led to
// chainGain, and perhaps more, or none when there was no gain.
func (s *Search) chain(level, gain int, t1, t2 int32) {
	t := &s.t
	breadth := 1
	if level < len(breadths) {
		breadth = breadths[level]
	}
	var options [maxBreadth]option
	count := s.options(gain, t1, t2, options[:breadth])
	for _, o := range options[:count] {
		mark := len(t.log)
		a, b := t1, o.t4 // the ends of the path after the flip
		if o.tail {
			a, b = o.t4, t2
			t.flip(o.t4, t1, [3]int32{t1, o.t3, o.t4})
		} else {
			t.flip(t2, o.t4, [3]int32{t2, o.t3, o.t4})
		}
		if closed := o.gain - s.m.dist(a, b); closed > s.chainGain {
			s.chainGain, s.chainMark = closed, len(t.log)
		}
		if level+1 < maxDepth {
			s.chain(level+1, o.gain, a, b)
		}
		if s.chainGain > 0 {
			return
		}
		t.undo(mark)
	}
}

// options fills best with the flips that promise most, the best one first, and
// returns how many there are.
func (s *Search) options(gain int, t1, t2 int32, best []option) int {
	t := &s.t
	t.work += 2 * s.near.k
	count := 0
	add := func(o option) {
		i := count
		for i > 0 && o.value > best[i-1].value {
			i--
		}
		if i == len(best) {
			return
		}
		if count < len(best) {
			count++
		}
		copy(best[i+1:count], best[i:])
		best[i] = o
	}
	cities, dists := s.near.of(t2)
	for i, t3 := range cities {
		d := int(dists[i])
		if d >= gain {
			break
		}
		t4 := t.prev(t3)
		if t3 == t1 || t4 == t2 || t.flipCost(t2, t4) > s.maxFlip {
			continue
		}
		v := s.m.dist(t3, t4) - d
		add(option{value: v, gain: gain + v, t3: t3, t4: t4})
	}
	cities, dists = s.near.of(t1)
	for i, t3 := range cities {
		d := int(dists[i])
		if d >= gain {
			break
		}
		t4 := t.next(t3)
		if t3 == t2 || t4 == t1 || t.flipCost(t4, t1) > s.maxFlip {
			continue
		}
		v := s.m.dist(t3, t4) - d
		add(option{value: v, gain: gain + v, t3: t3, t4: t4, tail: true})
	}
	return count
}

// moveSegment takes a few cities that begin with c out of the tour and puts
// them in near a neighbour of c, either way round, if that is shorter (Or-opt).
func (s *Search) moveSegment(c int32) bool {
	t := &s.t
	cities, dists := s.near.of(c)
	for _, reversed := range [2]bool{false, true} {
		t.reversed = reversed
		before := t.prev(c)
		last := c
		for range min(maxSegment, len(t.order)-3) {
			after := t.next(last)
			saved := s.m.dist(before, c) + s.m.dist(last, after) - s.m.dist(before, after)
			for i, to := range cities {
				if int(dists[i]) >= saved {
					break
				}
				if t.span(c, to) <= t.span(c, last) {
					continue // one of the segment
				}
				// Next to c goes to, next to last the city after or before it.
				if other := t.next(to); to != before {
					gain := saved + s.m.dist(to, other) - int(dists[i]) - s.m.dist(last, other)
					if gain > 0 && s.move(c, last, to, other, true, gain) {
						return true
					}
				}
				if other := t.prev(to); to != after {
					gain := saved + s.m.dist(to, other) - int(dists[i]) - s.m.dist(last, other)
					if gain > 0 && s.move(c, last, other, to, false, gain) {
						return true
					}
				}
			}
			last = after
		}
	}
	return false
}

// move puts the segment from first to last between a and b, the next of a: as
// it is (first beside a) or the other way round. It returns false where that
// would be too much work.
func (s *Search) move(first, last, a, b int32, straight bool, gain int) bool {
	t := &s.t
	before, after := t.prev(first), t.next(last)
	mark := len(t.log)
	place, gap := [3]int32{first, a, b}, [3]int32{last, before, after}
	// The segment changes places with what is between it and its new place.
	if t.span(first, a) <= t.span(b, last) {
		if t.flipCost(first, a) > s.maxFlip {
			return false
		}
		t.flip(first, a, place)
		t.flip(a, after, gap)
	} else {
		if t.flipCost(b, last) > s.maxFlip {
			return false
		}
		t.flip(b, last, place)
		t.flip(before, b, gap)
	}
	if straight {
		t.flip(last, first, gap)
	}
	s.length -= gain
	s.queueEnds(mark)
	return true
}

func (s *Search) queueEnds(mark int) {
	for _, f := range s.t.log[mark:] {
		for _, c := range f.ends {
			s.enqueue(c)
		}
	}
}
