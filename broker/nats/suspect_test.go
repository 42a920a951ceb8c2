package nats

import (
	"strconv"
	"testing"

	natsgo "github.com/nats-io/nats.go"
)

// A request that was in two crashes waits before it is tried again, once for
// each further one.
func TestWhoWasInTwoCrashesIsSetApart(t *testing.T) {
	for _, c := range []struct {
		name            string
		crashes, waited int // waited: as its header says, since it has waited
		want            bool
	}{
		{"a fresh one", 0, 0, false},
		{"once is no sign", 1, 0, false},
		{"twice", 2, 0, true},
		{"twice, and it has waited", 2, 2, false},
		{"again since it waited", 3, 2, true},
		{"handed over in order after one crash", 1, 1, false},
	} {
		h := natsgo.Header{}
		if c.waited > 0 {
			h[hdrCrashes] = []string{strconv.Itoa(c.waited)}
		}
		if got := (&message{crashes: c.crashes, raw: &natsgo.Msg{Header: h}}).suspect(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
