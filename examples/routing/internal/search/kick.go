package search

import "math"

const (
	// kickSegment is how long the parts are that a kick exchanges, at most.
	kickSegment = 50
	// tolerance is what a longer tour that is accepted is longer on average, in
	// mean edges of the tour.
	tolerance = 0.3
	// patience is for how many kicks for each city the search goes on without
	// a new best tour before it returns to the best one.
	patience = 50
)

// kick exchanges two neighbouring parts of the tour at random, which the moves
// of improve do not easily undo (a double bridge).
func (s *Search) kick() {
	t := &s.t
	t.log = t.log[:0]
	t.reversed = false
	s.kicked = true
	n := len(t.order)
	most := min(kickSegment, (n-2)/2)
	at := s.below(n)
	first, second := 1+s.below(most), 1+s.below(most)
	city := func(i int) int32 { return t.order[(at+i)%n] }
	before, a, b := city(0), city(1), city(first)
	c, d, after := city(first+1), city(first+second), city(first+second+1)

	s.length += s.m.dist(before, c) + s.m.dist(d, a) + s.m.dist(b, after) -
		s.m.dist(before, a) - s.m.dist(b, c) - s.m.dist(d, after)
	ends := [3]int32{a, b, before}
	t.flip(a, d, ends)
	t.flip(d, c, ends)
	t.flip(b, a, ends)
	for _, x := range [...]int32{after, d, c, b, a, before} {
		s.enqueue(x)
	}
}

// accepts says whether to go on from a tour that is longer than the one before
// the kick. It does so now and then, the less often the longer the tour is.
func (s *Search) accepts() bool {
	if s.saved == nil {
		return false
	}
	edge := float64(s.best) / float64(len(s.t.order))
	return float64(s.length-s.settled) < -math.Log(s.uniform())*tolerance*edge
}

// uniform returns a random number above 0, at most 1.
func (s *Search) uniform() float64 {
	return float64(s.rng.Uint64()>>11+1) / (1 << 53)
}

// below returns a random number from 0 to n-1; n is small against 2^32.
func (s *Search) below(n int) int {
	return int(s.rng.Uint64() >> 32 * uint64(n) >> 32)
}
