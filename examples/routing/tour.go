package routing

import (
	"errors"
	"fmt"
	"slices"

	"github.com/occamy-go/occamy/examples/routing/internal/search"
)

// ErrTour is wrapped by the errors about tours that are none.
var ErrTour = errors.New("routing: not a round trip through all cities")

// Result is what a request gives.
type Result struct {
	Name   string `json:"name"` // of the instance
	Length int    `json:"length"`
	Tour   []int  `json:"tour"` // numbers of the file, from its first city on
}

// Check returns the length of a tour, given as the numbers of the cities. The
// error wraps ErrTour unless each city is there once.
func (in *Instance) Check(tour []int) (int, error) {
	order, err := in.order(tour)
	if err != nil {
		return 0, err
	}
	return in.length(order), nil
}

// order turns the numbers of the file into cities.
func (in *Instance) order(tour []int) ([]int32, error) {
	if len(tour) != len(in.nodes) {
		return nil, fmt.Errorf("%w: %d cities, not %d", ErrTour, len(tour), len(in.nodes))
	}
	order := make([]int32, len(tour))
	seen := make([]bool, len(tour))
	for i, node := range tour {
		if node < 0 || node > MaxNode {
			return nil, fmt.Errorf("%w: there is no city %d", ErrTour, node)
		}
		city, ok := in.byNode[int32(node)]
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: there is no city %d", ErrTour, node)
		case seen[city]:
			return nil, fmt.Errorf("%w: city %d is there twice", ErrTour, node)
		}
		seen[city] = true
		order[i] = city
	}
	return order, nil
}

// tour turns cities into the numbers of the file. It begins with the first
// city, and goes round so that the second is the one that stands first in the
// file, so that one round trip is always written in one way.
func (in *Instance) tour(order []int32) []int {
	n := len(order)
	start, step := slices.Index(order, 0), 1
	if order[(start+1)%n] > order[(start+n-1)%n] {
		step = n - 1
	}
	tour := make([]int, n)
	for i := range tour {
		tour[i] = int(in.nodes[order[(start+i*step)%n]])
	}
	return tour
}

func (in *Instance) length(order []int32) int {
	sum := 0
	for i, c := range order {
		sum += search.Distance(in.points[c], in.points[order[(i+1)%len(order)]])
	}
	return sum
}
