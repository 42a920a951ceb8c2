package slots

import "testing"

// FuzzTable turns bytes into a script, and compares the table with the dumb one
// and holds the witness's invariants after each op. What it finds is told as a
// script that can be put into a scenario.
func FuzzTable(f *testing.F) {
	for _, seed := range []string{
		"",
		"a table that is left alone",
		"\x01\x03\x00\x02\x01\x01\x02\x02\x03\x00",
		// Requests that grow, and requests that take the slots back.
		"\x01\x03\x03\x01\x00\x01\x02\x02\x04\x02" +
			"\x00\x00\x10\x01\x01\x01\x00\x01\x01\x05\x02\x02\x02\x46\x01\x00\x00\x01\x01" +
			"\x05\x10\x01\x01\x01\x00\x01\x01\x05\x02\x02\x30\x01\x00\x00\x38\x01\x00\x00",
		// Optional requests, a cancel, a shutdown.
		"\x01\x02\x03\x02\x00\x01\x02\x02\x04\x02" +
			"\x21\x01\x00\x00\x01\x21\x01\x02\x01\x01\x21\x02\x03\x00\x01\x10\x01\x01\x01" +
			"\x00\x01\x01\x4d\x00\x01\x8c\x00\x39\x01\x01\x00\x8d\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		left := data[:min(len(data), 2000)]
		g := newGenerator(func(n int) int {
			if len(left) == 0 {
				return 0
			}
			b := left[0]
			left = left[1:]
			return int(b) % n
		})
		for len(left) > 0 && len(g.script) < 400 {
			if err := g.play(); err != nil {
				t.Fatal(explain(g.script))
			}
		}
	})
}
