package nats

import (
	"strings"
	"testing"
)

func TestPrefixesThatAreNoGood(t *testing.T) {
	for _, prefix := range []string{"", "a.b", "a*", "A", "two words", "é", strings.Repeat("x", 33)} {
		if _, err := newNames(prefix); err == nil {
			t.Errorf("the prefix %q is taken", prefix)
		}
	}
}
