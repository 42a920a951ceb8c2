package assist

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func TestWhatASearchKeepsComesBackAsItWas(t *testing.T) {
	for _, k := range []kept{
		{},
		{spent: time.Hour},
		{spent: 1, best: []byte{}},
		{state: []byte("state")},
		{spent: math.MaxInt64 / 2, state: bytes.Repeat([]byte{1}, 300), best: []byte("best")},
	} {
		b := k.encode()
		got := decodeKept(b)
		if got.spent != k.spent || !bytes.Equal(got.state, k.state) || !bytes.Equal(got.best, k.best) || (got.best == nil) != (k.best == nil) {
			t.Errorf("%+v came back as %+v", k, got)
		}
		for n := range len(b) - len(k.best) - len(k.state) {
			if got := decodeKept(b[:n]); got.spent > k.spent || got.best != nil {
				t.Errorf("the first %d bytes of %+v: %+v", n, k, got)
			}
		}
	}
}

// What a store gives is not trusted: anything is understood or left.
func FuzzKept(f *testing.F) {
	f.Add([]byte(nil))
	f.Add((&kept{spent: time.Minute, state: []byte("s"), best: []byte("b")}).encode())
	f.Add([]byte{keptVersion, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		k := decodeKept(b)
		again := decodeKept(k.encode())
		if k.spent < 0 || again.spent != k.spent || !bytes.Equal(again.state, k.state) || !bytes.Equal(again.best, k.best) {
			t.Errorf("%v is %+v, then %+v", b, k, again)
		}
	})
}
