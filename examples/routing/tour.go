package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/occamy-go/occamy/examples/routing/internal/search"
)

// ErrTour is wrapped by the errors about tours that are none.
var ErrTour = errors.New("routing: not a round trip through all cities")

// tour is the cities of a round trip, as their places in the file. It travels
// as four bytes for each.
type tour []int32

// MarshalBinary implements encoding.BinaryMarshaler.
func (t tour) MarshalBinary() ([]byte, error) {
	return binary.Append(make([]byte, 0, 4*len(t)), binary.LittleEndian, []int32(t))
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (t *tour) UnmarshalBinary(b []byte) error {
	if len(b)%4 != 0 || len(b) > 4*MaxCities {
		return fmt.Errorf("%w: %d bytes", ErrTour, len(b))
	}
	*t = make(tour, len(b)/4)
	_, err := binary.Decode(b, binary.LittleEndian, []int32(*t))
	return err
}

// Check returns the length of a tour, given as the numbers of the cities. The
// error wraps ErrTour unless each city is there once.
func (in *Instance) Check(numbers []int) (int, error) {
	t := make(tour, len(numbers))
	for i, node := range numbers {
		if node < 0 || node > MaxNode {
			return 0, fmt.Errorf("%w: there is no city %d", ErrTour, node)
		}
		city, ok := in.byNode[int32(node)]
		if !ok {
			return 0, fmt.Errorf("%w: there is no city %d", ErrTour, node)
		}
		t[i] = city
	}
	if err := in.checkOrder(t); err != nil {
		return 0, err
	}
	return in.length(t), nil
}

// checkOrder returns an error that wraps ErrTour unless each city is there once.
func (in *Instance) checkOrder(t tour) error {
	if len(t) != len(in.nodes) {
		return fmt.Errorf("%w: %d cities, not %d", ErrTour, len(t), len(in.nodes))
	}
	seen := make([]bool, len(t))
	for _, city := range t {
		switch {
		case city < 0 || int(city) >= len(t):
			return fmt.Errorf("%w: there is no city at place %d", ErrTour, city)
		case seen[city]:
			return fmt.Errorf("%w: city %d is there twice", ErrTour, in.nodes[city])
		}
		seen[city] = true
	}
	return nil
}

// asInTheFile is the tour that goes through the cities as they come.
func (in *Instance) asInTheFile() tour {
	t := make(tour, len(in.nodes))
	for i := range t {
		t[i] = int32(i)
	}
	return t
}

// numbers turns cities into the numbers of the file. It begins with the first
// city, and goes round so that the second is the one that stands first in the
// file, so that one round trip is always written in one way.
func (in *Instance) numbers(t tour) []int {
	n := len(t)
	start, step := slices.Index(t, 0), 1
	if t[(start+1)%n] > t[(start+n-1)%n] {
		step = n - 1
	}
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = int(in.nodes[t[(start+i*step)%n]])
	}
	return numbers
}

func (in *Instance) length(t tour) int {
	sum := 0
	for i, c := range t {
		sum += search.Distance(in.points[c], in.points[t[(i+1)%len(t)]])
	}
	return sum
}
