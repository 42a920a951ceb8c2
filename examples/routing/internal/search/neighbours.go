package search

import (
	"math"
	"slices"
)

// neighbourCount is how many near neighbours of a city a move may lead to.
const neighbourCount = 10

// neighbours lists the nearest cities of each, nearest first: those of city c
// are at c*k to (c+1)*k.
type neighbours struct {
	k    int
	city []int32
	dist []int32
}

func (l *neighbours) of(c int32) ([]int32, []int32) {
	from, to := int(c)*l.k, (int(c)+1)*l.k
	return l.city[from:to], l.dist[from:to]
}

type near struct {
	square float64
	city   int32
}

// newNeighbours returns false when stopped did before it was ready.
func newNeighbours(points []Point, stopped func() bool) (neighbours, bool) {
	n := len(points)
	l := neighbours{k: min(neighbourCount, n-1)}
	l.city = make([]int32, n*l.k)
	l.dist = make([]int32, n*l.k)
	g := newGrid(points)
	var found []near
	for c := range int32(n) {
		if c%64 == 0 && stopped() {
			return l, false
		}
		found = g.nearest(c, l.k, found[:0])
		for i, f := range found {
			l.city[int(c)*l.k+i] = f.city
			l.dist[int(c)*l.k+i] = int32(Distance(points[c], points[f.city]))
		}
	}
	return l, true
}

// grid sorts the points into square cells of about two points each.
type grid struct {
	points     []Point
	minX, minY float64
	side       float64
	cols, rows int
	start      []int32 // of each cell in cities
	cities     []int32
}

func newGrid(points []Point) *grid {
	g := &grid{points: points, minX: math.Inf(1), minY: math.Inf(1)}
	maxX, maxY := math.Inf(-1), math.Inf(-1)
	for _, p := range points {
		g.minX, maxX = min(g.minX, p.X), max(maxX, p.X)
		g.minY, maxY = min(g.minY, p.Y), max(maxY, p.Y)
	}
	width, height := maxX-g.minX, maxY-g.minY
	cells := float64(len(points))/2 + 1
	g.side = max(math.Sqrt(width*height/cells), max(width, height)/cells)
	if g.side == 0 {
		g.side = 1 // all cities in one place
	}
	g.cols, g.rows = int(width/g.side)+1, int(height/g.side)+1

	g.start = make([]int32, g.cols*g.rows+1)
	for _, p := range points {
		g.start[g.cell(p)+1]++
	}
	for i := 1; i < len(g.start); i++ {
		g.start[i] += g.start[i-1]
	}
	g.cities = make([]int32, len(points))
	fill := slices.Clone(g.start)
	for c, p := range points {
		cell := g.cell(p)
		g.cities[fill[cell]] = int32(c)
		fill[cell]++
	}
	return g
}

func (g *grid) column(p Point) int { return min(int((p.X-g.minX)/g.side), g.cols-1) }
func (g *grid) row(p Point) int    { return min(int((p.Y-g.minY)/g.side), g.rows-1) }
func (g *grid) cell(p Point) int   { return g.row(p)*g.cols + g.column(p) }

// nearest appends the k nearest cities of c, nearest first, equals by number.
// It looks at ever larger squares of cells, until no cell outside can hold a
// nearer one.
func (g *grid) nearest(c int32, k int, found []near) []near {
	p := g.points[c]
	col, row := g.column(p), g.row(p)
	for ring := 0; ; ring++ {
		if len(found) >= k && ring > 0 {
			reach := float64(ring-1) * g.side
			if found[k-1].square <= reach*reach {
				return found[:k]
			}
		}
		if ring > max(g.cols, g.rows) {
			return found[:k]
		}
		for y := max(row-ring, 0); y <= min(row+ring, g.rows-1); y++ {
			step := max(2*ring, 1)
			if y == row-ring || y == row+ring {
				step = 1
			}
			for x := col - ring; x <= col+ring; x += step {
				if x >= 0 && x < g.cols {
					found = g.collect(c, y*g.cols+x, k, found)
				}
			}
		}
	}
}

// collect puts the cities of a cell into found, which stays sorted and no
// longer than k.
func (g *grid) collect(c int32, cell, k int, found []near) []near {
	p := g.points[c]
	for _, other := range g.cities[g.start[cell]:g.start[cell+1]] {
		if other == c {
			continue
		}
		dx, dy := g.points[other].X-p.X, g.points[other].Y-p.Y
		f := near{dx*dx + dy*dy, other}
		i := len(found)
		for i > 0 && (f.square < found[i-1].square || f.square == found[i-1].square && f.city < found[i-1].city) {
			i--
		}
		if i == k {
			continue
		}
		if len(found) == k {
			found = found[:k-1]
		}
		found = slices.Insert(found, i, f)
	}
	return found
}
