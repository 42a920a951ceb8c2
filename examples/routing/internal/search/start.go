package search

import (
	"math"
	"slices"
)

// alongCurve orders the points along Hilbert's curve, a fair tour to begin with
// whose parts lie close together. It gives up halfway, with no tour at all, when
// stopped says so.
func alongCurve(points []Point, stopped func() bool) []int32 {
	const side = 1 << 16
	minX, minY := math.Inf(1), math.Inf(1)
	maxX, maxY := math.Inf(-1), math.Inf(-1)
	for _, p := range points {
		minX, maxX = min(minX, p.X), max(maxX, p.X)
		minY, maxY = min(minY, p.Y), max(maxY, p.Y)
	}
	scale := 0.0
	if size := max(maxX-minX, maxY-minY); size > 0 {
		scale = (side - 1) / size
	}
	keys := make([]uint32, len(points))
	order := make([]int32, len(points))
	for i, p := range points {
		if i%1024 == 0 && stopped() {
			break
		}
		keys[i] = hilbert(side, uint32((p.X-minX)*scale), uint32((p.Y-minY)*scale))
		order[i] = int32(i)
	}
	spare := make([]int32, len(points))
	for shift := 0; shift < 32 && !stopped(); shift += 8 {
		sortByte(keys, order, spare, shift)
		order, spare = spare, order
	}
	return order
}

// sortByte sorts the cities of from into to by one byte of their keys, equals
// in the order that they have.
func sortByte(keys []uint32, from, to []int32, shift int) {
	var start [257]int32
	for _, c := range from {
		start[keys[c]>>shift&0xff+1]++
	}
	for i := range 256 {
		start[i+1] += start[i]
	}
	for _, c := range from {
		b := keys[c] >> shift & 0xff
		to[start[b]] = c
		start[b]++
	}
}

// hilbert is how far along the curve a cell of a square lies, whose side is a
// power of two.
func hilbert(side, x, y uint32) uint32 {
	var at uint32
	for s := side / 2; s > 0; s /= 2 {
		right, up := min(x&s, 1), min(y&s, 1)
		at += s * s * (3*right ^ up)
		if up == 0 {
			if right == 1 {
				x, y = side-1-x, side-1-y
			}
			x, y = y, x
		}
	}
	return at
}

// length is the length of a round trip.
func (m *metric) length(order []int32) int {
	sum := 0
	for i, c := range order {
		sum += m.dist(c, order[(i+1)%len(order)])
	}
	return sum
}

// shortest tries every tour; for a handful of cities.
func (m *metric) shortest() []int32 {
	order := make([]int32, m.n)
	for i := range order {
		order[i] = int32(i)
	}
	best, bestLength := slices.Clone(order), m.length(order)
	var try func(from, length int)
	try = func(from, length int) {
		if from == m.n {
			if length += m.dist(order[m.n-1], order[0]); length < bestLength {
				bestLength = length
				copy(best, order)
			}
			return
		}
		for i := from; i < m.n; i++ {
			order[from], order[i] = order[i], order[from]
			try(from+1, length+m.dist(order[from-1], order[from]))
			order[from], order[i] = order[i], order[from]
		}
	}
	try(1, 0)
	return best
}
