package rabbitmq

import (
	"encoding/json"
	"testing"

	"github.com/occamy-go/occamy/broker/internal/packed"
)

// Whoever may publish to the control exchange may answer like a server.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "{}", "[]", `{"server":"a","unacked":{"k":-5}}`, `{"unacked":7}`, `{"unacked":null,"kinds":["",1]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var a answer
		if packed.Unmarshal(b, &a) != nil {
			return
		}
		for kind, n := range unackedOf([]answer{a, a}) {
			if n < 0 {
				t.Errorf("%d of %q are unacked", n, kind)
			}
		}
		if _, err := json.Marshal(a); err != nil {
			t.Error(err)
		}
	})
}

func TestUnackedAddsUp(t *testing.T) {
	got := unackedOf([]answer{
		{Unacked: map[string]int{"k": 2, "j": 1}}, {Unacked: map[string]int{"k": 3, "l": -7}}, {},
	})
	if got["k"] != 5 || got["j"] != 1 || got["l"] != 0 {
		t.Errorf("got %v", got)
	}
}
