package wire

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
)

func reports() []Report {
	return []Report{
		{Held: []uint64{}, Results: []Result{}},
		{
			Job: Job{1, 2, 3, 4, 5, 6, 7, 8}, From: "trip/a", Run: math.MaxUint64, Seq: 3, Epoch: 4, Heard: 5,
			Needed: true, Root: true, Leaving: true, Want: 6, Held: []uint64{7, math.MaxUint64},
			Results: []Result{{Index: 8, Body: []byte("eight")}, {Index: 9, Failed: true, Body: []byte{}}},
			Best:    []byte{},
		},
	}
}

func grants() []Grant {
	return []Grant{
		{Units: []Unit{}},
		{
			Job: Job{8, 7}, Run: 1, Epoch: math.MaxUint64, Seq: 2, Heard: 3, State: End, Room: 4,
			Units: []Unit{{Index: 5, Body: []byte{}}, {Index: 6, Body: bytes.Repeat([]byte("x"), 300)}},
			Best:  []byte("best"),
		},
	}
}

func TestWhatWasEncodedIsDecoded(t *testing.T) {
	for _, r := range reports() {
		if got, err := DecodeReport(r.Encode()); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, r)
		}
	}
	for _, g := range grants() {
		if got, err := DecodeGrant(g.Encode()); err != nil || !reflect.DeepEqual(got, g) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, g)
		}
	}
}

// Each message that is cut short, longer, or of another version is refused.
func TestMalformedMessagesAreRefused(t *testing.T) {
	report, grant := reports()[1].Encode(), grants()[1].Encode()
	refused := func(name string, b []byte, err error) {
		t.Helper()
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s of %d bytes: %v, want ErrMalformed", name, len(b), err)
		}
	}
	for n := range report {
		_, err := DecodeReport(report[:n])
		refused("report", report[:n], err)
	}
	for n := range grant {
		_, err := DecodeGrant(grant[:n])
		refused("grant", grant[:n], err)
	}
	for _, b := range [][]byte{report, grant} {
		longer := append(bytes.Clone(b), 0)
		_, err := DecodeReport(longer)
		refused("longer report", longer, err)
		_, err = DecodeGrant(longer)
		refused("longer grant", longer, err)
		other := bytes.Clone(b)
		other[0]++
		_, err = DecodeReport(other)
		refused("report of another version", other, err)
		_, err = DecodeGrant(other)
		refused("grant of another version", other, err)
	}
}

// A few bytes that announce a lot reserve nothing.
func TestAnAnnouncementReservesNothing(t *testing.T) {
	r := reports()[0]
	b := r.Encode()
	b = b[:len(b)-2] // the counts of Held and Results
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
	if n := testing.AllocsPerRun(10, func() { _, _ = DecodeReport(b) }); n > 10 {
		t.Errorf("%v allocations", n)
	}
	if _, err := DecodeReport(b); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func FuzzReport(f *testing.F) {
	for _, r := range reports() {
		f.Add(r.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReport(b)
		if err != nil {
			return
		}
		again, err := DecodeReport(r.Encode())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzGrant(f *testing.F) {
	for _, g := range grants() {
		f.Add(g.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := DecodeGrant(b)
		if err != nil {
			return
		}
		again, err := DecodeGrant(g.Encode())
		if err != nil || !reflect.DeepEqual(again, g) {
			t.Errorf("%+v became %+v, %v", g, again, err)
		}
	})
}
