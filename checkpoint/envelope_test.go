package checkpoint

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestEnvelopeComesBackAsItWas(t *testing.T) {
	for _, e := range []envelope{
		{claim: claim{1, 2, 3}, number: 1},
		{claim: claim{15: 0xff}, number: 127, hasValue: true},
		{number: math.MaxUint64, hasValue: true, value: []byte{0, 0xff, 1}},
	} {
		b := e.encode()
		got, err := decode(b)
		if err != nil || got.claim != e.claim || got.number != e.number || got.hasValue != e.hasValue || !bytes.Equal(got.value, e.value) {
			t.Errorf("%+v came back as %+v, %v", e, got, err)
		}
		if n := len(b) - len(e.value); n > Overhead {
			t.Errorf("%d bytes more than the value, want at most %d", n, Overhead)
		}
		for n := range len(b) - len(e.value) {
			if _, err := decode(b[:n]); !errors.Is(err, ErrFormat) {
				t.Errorf("the first %d bytes: %v", n, err)
			}
		}
	}
}

// What a store gives is not trusted: any bytes decode or are an ErrFormat, and
// what decodes means the same when it is encoded again.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(nil))
	f.Add((&envelope{number: 1}).encode())
	f.Add((&envelope{claim: claim{1}, number: math.MaxUint64, hasValue: true, value: []byte("x")}).encode())
	f.Add(bytes.Repeat([]byte{1}, headLen+11))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decode(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v is no ErrFormat", err)
			}
			return
		}
		again, err := decode(e.encode())
		if err != nil || again.claim != e.claim || again.number != e.number || again.hasValue != e.hasValue || !bytes.Equal(again.value, e.value) {
			t.Fatalf("%+v came back as %+v, %v", e, again, err)
		}
	})
}
