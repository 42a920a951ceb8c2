package fleet

import (
	"testing"
	"unicode/utf8"
)

// Whatever is announced, what a View keeps of it is bounded and of known words.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"server":"s","epoch":1,"seq":1,"state":"up","size":2,"slots":[{"slot":0,"status":"protected","phase":"running","id":"r"}],"events":[{"n":1,"type":"started","id":"r"}]}`))
	f.Add([]byte(`{"server":"s","bye":true}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := decode(body)
		if err != nil {
			return
		}
		if a.Server == "" || len(a.Server) > 3*maxText || !utf8.ValidString(a.Server) || a.Size < 0 || a.Size > maxSlots {
			t.Errorf("server %q of %d slots", a.Server, a.Size)
		}
		for _, s := range a.Slots {
			if s.Slot < 0 || s.Slot >= a.Size || s.Fraction < 0 || s.Fraction > 1 || len(s.ID) > 3*maxText {
				t.Errorf("slot %+v of %d", s, a.Size)
			}
		}
		if len(a.Events) > maxEvents {
			t.Errorf("%d events", len(a.Events))
		}
		for _, e := range a.Events {
			if !eventTypes[e.Type] || e.Server != a.Server {
				t.Errorf("event %+v of %q", e, a.Server)
			}
		}
	})
}
