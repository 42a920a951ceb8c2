package occamytest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/occamy-go/occamy"
)

// random returns n bytes that are the same in each run.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b) // it never fails
	return b
}

// garbageBodies are bodies that no handler wants.
func garbageBodies() [][]byte {
	return [][]byte{
		nil, {}, {0}, []byte("garbage"), []byte("{"), []byte("[[[[[[[["), []byte("null"), []byte(`{"":1e999}`),
		random(1), random(100), random(10_000), random(1 << 20),
		[]byte(strings.Repeat("9", 10_000)), []byte(strings.Repeat("\n", 10_000)),
	}
}

// garbageValues are values of headers, of types that brokers carry, and some
// that none does.
func garbageValues() []any {
	return []any{
		nil, "", " ", "\x00\xff\xfe", "-1", "0", "99999999999999999999", "NaN", "1e999s", strings.Repeat("x", 1<<20),
		true, 1, int64(-1 << 63), uint64(1<<64 - 1), 1.5, []byte("bytes"), []any{1, "a", nil},
		map[string]any{"a": 1}, occamy.Headers{"a": nil}, struct{}{}, (*int)(nil), make(chan int), func() {},
	}
}

// manyHeaders are more than a handler has ever seen.
func manyHeaders() occamy.Headers {
	const n = 10_000
	h := make(occamy.Headers, n)
	for i := range n {
		h[fmt.Sprintf("%d%s", i, strings.Repeat("k", i%100))] = i
	}
	return h
}

// garbageMessages are control messages that no task wants.
func garbageMessages() []controlMessage {
	return []controlMessage{
		{nil, nil},
		{nil, random(100)},
		{nil, []byte("{")},
		{occamy.Headers{"": nil, "a": 1, "b": []any{nil}, "c": struct{}{}}, random(1)},
		{manyHeaders(), random(1 << 16)},
	}
}
