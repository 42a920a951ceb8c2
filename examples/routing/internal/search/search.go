package search

import (
	"math/rand/v2"
	"slices"
)

const (
	// exactCities is up to how many cities every tour is tried.
	exactCities = 8
	// manyCities is from where on only better tours are accepted, so that the
	// best one need not be copied, and flips that move more than manyFlip
	// cities are left out, so that a step stays short.
	manyCities = 12_000
	manyFlip   = 3_000
	// stepWork is after how much work a step ends: some tens of microseconds.
	stepWork = 10_000
)

// Search looks for a short round trip. It belongs to one goroutine.
type Search struct {
	m       metric
	near    neighbours
	t       tour
	rng     *rand.PCG
	maxFlip int

	length    int // of t
	chainGain int // see chain
	chainMark int

	queue  []int32 // cities that improve has to look at
	queued []bool

	ready   bool    // the first local optimum has been reached
	kicked  bool    // t was kicked and has not settled again
	settled int     // length of the local optimum that t was kicked from
	best    int     // length of the best local optimum
	saved   []int32 // the best one; unused where settled is always the best
	stale   int     // kicks since the best one was found
	proven  bool
}

// New prepares a search that begins with some tour of its own. It returns
// false when stopped, which it asks every now and then, did so before it was
// ready. There must be a point at least.
func New(points []Point, seed uint64, stopped func() bool) (*Search, bool) {
	n := len(points)
	s := &Search{rng: rand.NewPCG(seed, 0x6f6363616d79), maxFlip: n}
	if n > manyCities {
		s.maxFlip = manyFlip
	}
	s.t = tour{order: make([]int32, n), pos: make([]int32, n)}
	s.m = newMetric(points, stopped)
	if n <= exactCities {
		s.t.set(s.m.shortest())
		s.length = s.m.length(s.t.order)
		s.proven = true
		return s, true
	}
	var ok bool
	if s.near, ok = newNeighbours(points, stopped); !ok {
		return nil, false
	}
	if n <= manyCities {
		s.saved = make([]int32, n)
	}
	s.queued = make([]bool, n)
	order := alongCurve(points, stopped)
	if stopped() {
		return nil, false
	}
	s.begin(order)
	return s, true
}

// Length is the length of the best tour so far.
func (s *Search) Length() int {
	if s.ready {
		return s.best
	}
	return s.length
}

// Proven says that no tour is shorter.
func (s *Search) Proven() bool { return s.proven }

// Tour appends the best tour so far to dst: cities in the order of the trip.
func (s *Search) Tour(dst []int32) []int32 {
	if s.ready && s.saved != nil {
		return append(dst, s.saved...)
	}
	s.abandon()
	return append(dst, s.t.order...)
}

// Adopt goes on from a tour, which holds each city once, if it is better than
// the best so far, and reports whether it is. The tour is copied.
func (s *Search) Adopt(order []int32) bool {
	length := s.m.length(order)
	if s.proven || length >= s.Length() {
		return false
	}
	s.begin(order)
	s.found()
	return true
}

func (s *Search) begin(order []int32) {
	s.t.set(order)
	s.length = s.m.length(order)
	s.settled, s.kicked = s.length, false
	s.queue = s.queue[:0]
	for _, c := range slices.Backward(order) {
		s.queued[c] = true
		s.queue = append(s.queue, c)
	}
}

// Step searches on for a moment, in general well below 100 µs.
func (s *Search) Step() {
	if s.proven {
		return
	}
	if len(s.queue) == 0 {
		s.kick()
	}
	for s.t.work = 0; s.t.work < stepWork; {
		if !s.kicked {
			s.t.log = s.t.log[:0] // there is no way back
		}
		c := s.queue[len(s.queue)-1]
		s.queue = s.queue[:len(s.queue)-1]
		s.queued[c] = false
		if s.improve(c) {
			s.enqueue(c) // there may be more to gain
		}
		if len(s.queue) == 0 {
			s.settle()
			return
		}
	}
}

func (s *Search) enqueue(c int32) {
	if !s.queued[c] {
		s.queued[c] = true
		s.queue = append(s.queue, c)
	}
}

// settle decides whether the local optimum that t is now replaces the one that
// it was kicked from.
func (s *Search) settle() {
	if s.kicked && s.length > s.settled && !s.accepts() {
		s.back()
	}
	s.settled, s.kicked = s.length, false
	s.stale++
	if !s.ready || s.length < s.best {
		s.found()
	}
	if s.saved != nil && s.stale >= patience*len(s.saved) {
		s.stale = 0
		s.begin(s.saved)
	}
}

// found makes t the best tour.
func (s *Search) found() {
	s.ready, s.best, s.stale = true, s.length, 0
	if s.saved != nil {
		copy(s.saved, s.t.order)
	}
}

// back undoes the kick and all that followed it.
func (s *Search) back() {
	s.t.undo(0)
	s.length, s.kicked = s.settled, false
}

// abandon undoes a kick whose effect is not known yet.
func (s *Search) abandon() {
	if !s.kicked {
		return
	}
	s.back()
	for _, c := range s.queue {
		s.queued[c] = false
	}
	s.queue = s.queue[:0]
}
