package rabbitmq

import (
	"slices"
	"strings"
	"testing"
)

// The address in a request may be anybody's words, and must bring its events
// nowhere but to a connection that watches.
func TestWatchersAreAddressedOnly(t *testing.T) {
	for address, want := range map[string]bool{
		"to.a-B_9": true, "": false, "to.": false, "outcomes.1": false, "progress.r": false, "to.#": false, "to.a.b": false,
		"To.a": false, "to." + strings.Repeat("x", 65): false,
	} {
		got := watchers("r", address)
		if slices.Contains(got, any(address)) != want || got[0] != "watch.r" || len(got) > 2 {
			t.Errorf("the events of a request with the address %q go to %v", address, got)
		}
	}
}
