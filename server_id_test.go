package occamy_test

import (
	"strings"
	"testing"

	"github.com/occamy-go/occamy"
)

// R12, R19: a command for a server bears its ID in a header.
func TestR19_ServerIDsThatNoHeaderCarries(t *testing.T) {
	for _, id := range []string{"a\x1b[31mb", "a\nb", " a", "a ", "\xff", strings.Repeat("x", 513)} {
		_, err := occamy.New(occamy.Config{ID: id, Kinds: []string{kind}, Slots: -1, Handler: &occamy.Mux{}})
		if err == nil || !strings.Contains(err.Error(), "ID is") || !strings.Contains(err.Error(), "Slots is") {
			t.Errorf("New with the ID %.20q: %v; want an error that lists the ID and the slots", id, err)
		}
	}
	if _, err := occamy.New(occamy.Config{ID: "a.b *>☃", Kinds: []string{kind}, Handler: &occamy.Mux{}}); err != nil {
		t.Errorf("New: %v", err)
	}
}
