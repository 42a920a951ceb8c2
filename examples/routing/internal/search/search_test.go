package search

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func never() bool { return false }

func randomPoints(n int, side float64, seed uint64) []Point {
	rng := rand.New(rand.NewPCG(seed, 1))
	points := make([]Point, n)
	for i := range points {
		points[i] = Point{X: float64(int(rng.Float64() * side)), Y: float64(int(rng.Float64() * side))}
	}
	return points
}

func mustNew(t testing.TB, points []Point, seed uint64) *Search {
	t.Helper()
	s, ok := New(points, seed, never)
	if !ok {
		t.Fatal("New says that it was stopped")
	}
	return s
}

// check fails unless order is a permutation of the points whose length is the
// one given, measured anew.
func check(t testing.TB, points []Point, order []int32, length int) {
	t.Helper()
	if len(order) != len(points) {
		t.Fatalf("%d cities in the tour of %d", len(order), len(points))
	}
	seen := make([]bool, len(points))
	sum := 0
	for i, c := range order {
		if seen[c] {
			t.Fatalf("city %d twice", c)
		}
		seen[c] = true
		sum += Distance(points[c], points[order[(i+1)%len(order)]])
	}
	if sum != length {
		t.Fatalf("the search says %d, the tour is %d long", length, sum)
	}
}

func TestDistanceIsRoundedToTheNearest(t *testing.T) {
	for _, c := range []struct {
		a, b Point
		want int
	}{
		{Point{0, 0}, Point{0, 0}, 0},
		{Point{0, 0}, Point{3, 4}, 5},
		{Point{0, 0}, Point{1, 1}, 1},    // 1.414
		{Point{0, 0}, Point{1, 2}, 2},    // 2.236
		{Point{0, 0}, Point{0.5, 0}, 1},  // halves go up
		{Point{0, 0}, Point{1.5, 2}, 3},  // 2.5
		{Point{-2, -2}, Point{2, -2}, 4}, // coordinates may be negative
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%v, %v) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestTheTourIsValidAfterEveryStep(t *testing.T) {
	for _, c := range []struct {
		name   string
		points []Point
		steps  int
	}{
		{"one", randomPoints(1, 10, 1), 10},
		{"two", randomPoints(2, 10, 1), 10},
		{"three", randomPoints(3, 10, 1), 10},
		{"eight", randomPoints(8, 100, 1), 10},
		{"nine", randomPoints(9, 100, 1), 300},
		{"twelve", randomPoints(12, 100, 1), 300},
		{"two hundred", randomPoints(200, 1000, 1), 1000},
		{"all in one place", make([]Point, 50), 100},
		{"few places", randomPoints(100, 4, 1), 300},
		{"on one line", func() []Point {
			points := randomPoints(100, 1000, 1)
			for i := range points {
				points[i].Y = 7
			}
			return points
		}(), 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustNew(t, c.points, 1)
			last := s.Length()
			for range c.steps {
				s.Step()
				if s.Length() > last {
					t.Fatalf("the best length rose from %d to %d", last, s.Length())
				}
				last = s.Length()
				check(t, c.points, s.Tour(nil), last)
				check(t, c.points, s.t.order, s.length)
			}
		})
	}
}

func TestManyCities(t *testing.T) {
	points := randomPoints(600, 1e4, 3)
	s := mustNew(t, points, 1)
	s.saved, s.maxFlip = nil, 100 // as it is beyond manyCities
	begin := s.Length()
	for i := 0; !s.ready; i++ {
		s.Step()
		if i%10 == 0 {
			check(t, points, s.Tour(nil), s.Length())
		}
	}
	descended := s.Length()
	if descended > begin*9/10 {
		t.Errorf("from %d only to %d", begin, descended)
	}
	for i := range 1000 {
		s.Step()
		if i%100 == 0 {
			check(t, points, s.Tour(nil), s.Length())
		}
	}
	if s.Length() >= descended {
		t.Errorf("no kick paid: still %d", s.Length())
	}
}

func TestFewCitiesAreSolvedExactly(t *testing.T) {
	for n := 1; n <= exactCities; n++ {
		for seed := range uint64(5) {
			points := randomPoints(n, 50, seed)
			s := mustNew(t, points, seed)
			if !s.Proven() {
				t.Fatalf("%d cities are not proven", n)
			}
			want := shortestByPermutation(points)
			if s.Length() != want {
				t.Errorf("%d cities, seed %d: length %d, want %d", n, seed, s.Length(), want)
			}
			check(t, points, s.Tour(nil), want)
		}
	}
}

// shortestByPermutation goes through all orders in the plainest way.
func shortestByPermutation(points []Point) int {
	best := -1
	var visit func(at int, left []int, length int)
	visit = func(at int, left []int, length int) {
		if len(left) == 0 {
			if length += Distance(points[at], points[0]); best < 0 || length < best {
				best = length
			}
		}
		for i, c := range left {
			rest := slices.Delete(slices.Clone(left), i, i+1)
			visit(c, rest, length+Distance(points[at], points[c]))
		}
	}
	var others []int
	for i := 1; i < len(points); i++ {
		others = append(others, i)
	}
	visit(0, others, 0)
	return best
}

func TestTheSameSeedGivesTheSameTour(t *testing.T) {
	points := randomPoints(150, 1000, 4)
	run := func(seed uint64) []int32 {
		s := mustNew(t, points, seed)
		for range 500 {
			s.Step()
		}
		return s.t.order
	}
	if !slices.Equal(run(1), run(1)) {
		t.Error("two runs with one seed differ")
	}
	if slices.Equal(run(1), run(2)) {
		t.Error("two seeds give the same")
	}
}

func TestAdopt(t *testing.T) {
	points := randomPoints(300, 1000, 5)
	good := mustNew(t, points, 1)
	for range 500 {
		good.Step()
	}
	s := mustNew(t, points, 2)
	for range 5 {
		s.Step()
	}
	if s.Adopt(alongCurve(points, never)) {
		t.Error("a worse tour was adopted")
	}
	tour := good.Tour(nil)
	if !s.Adopt(tour) || s.Length() != good.Length() {
		t.Errorf("the better tour was not adopted: %d, offered %d", s.Length(), good.Length())
	}
	if s.Adopt(tour) {
		t.Error("an equal tour was adopted")
	}
	clear(tour) // it was copied
	for range 200 {
		s.Step()
		check(t, points, s.Tour(nil), s.Length())
	}
}

func TestNewStops(t *testing.T) {
	for _, n := range []int{300, 1500} {
		points := randomPoints(n, 1000, 1)
		asked := 0
		mustAsk := func() bool { asked++; return false }
		if _, ok := New(points, 1, mustAsk); !ok || asked == 0 {
			t.Fatalf("New says %v after asking %d times", ok, asked)
		}
		for at := range asked {
			calls := 0
			stop := func() bool { calls++; return calls > at }
			if _, ok := New(points, 1, stop); ok {
				t.Errorf("New went on after question %d of %d said stop", at, asked)
			}
		}
	}
}

func TestNeighboursAreTheNearest(t *testing.T) {
	for _, points := range [][]Point{
		randomPoints(9, 100, 1), randomPoints(500, 1000, 1), randomPoints(300, 5, 1), make([]Point, 20),
		append(randomPoints(100, 10, 1), Point{1e8, -1e8}),
	} {
		l, _ := newNeighbours(points, never)
		for c := range points {
			var want []float64
			for o, p := range points {
				if o != c {
					dx, dy := p.X-points[c].X, p.Y-points[c].Y
					want = append(want, dx*dx+dy*dy)
				}
			}
			slices.Sort(want)
			cities, dists := l.of(int32(c))
			if len(cities) != min(neighbourCount, len(points)-1) {
				t.Fatalf("%d neighbours", len(cities))
			}
			for i, o := range cities {
				dx, dy := points[o].X-points[c].X, points[o].Y-points[c].Y
				if o == int32(c) || dx*dx+dy*dy != want[i] || int(dists[i]) != Distance(points[o], points[c]) {
					t.Fatalf("city %d of %d: neighbour %d is %d at %d", c, len(points), i, o, dists[i])
				}
			}
		}
	}
}

func TestUndoLeadsBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{9, 10, 57} {
		tr := tour{order: make([]int32, n), pos: make([]int32, n)}
		start := make([]int32, n)
		for i, c := range rng.Perm(n) {
			start[i] = int32(c)
		}
		tr.set(start)
		for range 200 {
			a, b := int32(rng.IntN(n)), int32(rng.IntN(n))
			tr.reversed = rng.IntN(2) == 0
			before, after := tr.prev(a), tr.next(b)
			if after == a {
				continue // the whole tour
			}
			tr.flip(a, b, [3]int32{})
			if before != b && after != a && (tr.next(before) != b || tr.prev(after) != a) {
				t.Fatalf("flip(%d, %d) left %d and %d, not %d and %d", a, b, tr.next(before), tr.prev(after), b, a)
			}
		}
		tr.undo(0)
		if !slices.Equal(tr.order, start) {
			t.Errorf("undo of %d cities does not lead back", n)
		}
	}
}

func TestTheCurveHoldsNearbyCitiesTogether(t *testing.T) {
	var points []Point
	for x := range 16 {
		for y := range 16 {
			points = append(points, Point{float64(x), float64(y)})
		}
	}
	order := alongCurve(points, never)
	for i, c := range order[1:] {
		if d := Distance(points[order[i]], points[c]); d != 1 {
			t.Errorf("cities %d and %d of the curve are %d apart", i, i+1, d)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	for _, n := range []int{50, 442, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := mustNew(b, randomPoints(n, 1e4, 1), 1)
			for b.Loop() {
				s.Step()
			}
		})
	}
}
