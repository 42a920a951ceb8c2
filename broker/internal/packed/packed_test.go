package packed

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"
)

func TestLongTextIsCompressed(t *testing.T) {
	for _, n := range []int{0, 10, plain, 1 << 20} {
		want := strings.Repeat("a", n)
		b, err := Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if n >= plain && len(b) > n/10 {
			t.Errorf("%d bytes take %d", n, len(b))
		}
		var got string
		if err := Unmarshal(b, &got); err != nil || got != want {
			t.Errorf("%d bytes came as %d: %v", n, len(got), err)
		}
	}
}

func TestABombIsRefused(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range most>>20 + 1 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var v any
	if err := Unmarshal(b.Bytes(), &v); err == nil || !strings.Contains(err.Error(), "unpacked") {
		t.Errorf("%d bytes that unpack to more than %d: %v", b.Len(), most, err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	long, err := Marshal(strings.Repeat("a", 2*plain))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "{}", `"a"`, "\x1f\x8b", string(long), string(long[:len(long)-3])} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v json.RawMessage
		if err := Unmarshal(b, &v); err == nil && !json.Valid(v) {
			t.Fatalf("%q gives %q", b, v)
		}
	})
}
