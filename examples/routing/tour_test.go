package routing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

func TestTheCostOfWhatComesFromElsewhere(t *testing.T) {
	trip := mustTrip(t, nil, triangle)
	for name, c := range map[string]struct {
		tour tour
		good bool
	}{
		"a tour":             {tour{2, 0, 1}, true},
		"nothing":            {nil, false},
		"a city missing":     {tour{0, 1}, false},
		"a city too many":    {tour{0, 1, 2, 0}, false},
		"a city twice":       {tour{0, 1, 1}, false},
		"a city below 0":     {tour{0, 1, -1}, false},
		"an unknown city":    {tour{0, 1, 3}, false},
		"a city far outside": {tour{0, 1, 1<<31 - 1}, false},
	} {
		cost, err := trip.Cost(c.tour)
		if c.good && (cost != 12 || err != nil) || !c.good && !errors.Is(err, ErrTour) {
			t.Errorf("%s: %g, %v", name, cost, err)
		}
	}
}

// Whatever comes as a tour is one, or an error; and one comes back as it was.
func FuzzTour(f *testing.F) {
	for _, tr := range []tour{{}, {0, 1, 2}, {2, 0, 1}, {0, 1, 1}, {-1, 0, 1}} {
		b, err := tr.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, 1))
	}
	trip := mustTrip(f, nil, triangle)
	f.Fuzz(func(t *testing.T, b []byte) {
		var got tour
		if err := got.UnmarshalBinary(b); err != nil {
			return
		}
		if again, err := got.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v became %v, %v", b, again, err)
		}
		cost, err := trip.Cost(got)
		sorted := slices.Sorted(slices.Values(got))
		if isTour := slices.Equal(sorted, []int32{0, 1, 2}); isTour != (err == nil) || isTour && cost != 12 {
			t.Errorf("the cost of %v is %g, %v", got, cost, err)
		}
	})
}

func TestATourIsNotLargerThanAnInstanceCanBe(t *testing.T) {
	var got tour
	if err := got.UnmarshalBinary(make([]byte, 4*MaxCities+4)); !errors.Is(err, ErrTour) {
		t.Errorf("got %v", err)
	}
	b := binary.LittleEndian.AppendUint32(nil, 1<<32-1)
	if err := got.UnmarshalBinary(b); err != nil || got[0] != -1 {
		t.Errorf("got %v, %v", got, err)
	}
}
