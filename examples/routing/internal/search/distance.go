package search

import "math"

// Point is a city in the plane.
type Point struct{ X, Y float64 }

// Distance is the distance of TSPLIB's EUC_2D: Euclid's, rounded to the nearest
// integer.
func Distance(a, b Point) int {
	dx, dy := a.X-b.X, a.Y-b.Y
	return int(math.Sqrt(dx*dx+dy*dy) + 0.5)
}

// matrixCities is up to how many cities all distances are kept (4 MB).
const matrixCities = 1000

// metric gives the distances between cities, from a table while that is small.
type metric struct {
	points []Point
	table  []int32 // nil for many cities
	n      int
}

// newMetric gives up halfway when stopped says so.
func newMetric(points []Point, stopped func() bool) metric {
	m := metric{points: points, n: len(points)}
	if m.n > matrixCities {
		return m
	}
	m.table = make([]int32, m.n*m.n)
	for i, a := range points {
		if i%32 == 0 && stopped() {
			return m
		}
		for j, b := range points[:i] {
			d := int32(Distance(a, b))
			m.table[i*m.n+j], m.table[j*m.n+i] = d, d
		}
	}
	return m
}

func (m *metric) dist(a, b int32) int {
	if m.table != nil {
		return int(m.table[int(a)*m.n+int(b)])
	}
	return Distance(m.points[a], m.points[b])
}
