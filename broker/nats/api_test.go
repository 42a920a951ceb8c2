package nats

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// Another try may overcome what a cluster says while it has no leader, or has
// not agreed on an earlier try; not what it refuses.
func TestErrorsThatPass(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errDown, true},
		{fmt.Errorf("wrapped: %w", errNoWord), true},
		{&jetstream.APIError{Code: 503, ErrorCode: 10008}, true},
		{&jetstream.APIError{Code: 409, ErrorCode: codeUnderWay}, true},
		{&jetstream.APIError{Code: 409, ErrorCode: 1}, false},
		{&jetstream.APIError{Code: 400, ErrorCode: codeNoPeers}, false},
		{errors.New("other"), false},
	} {
		if got := passing(c.err); got != c.want {
			t.Errorf("passing(%v) is %t", c.err, got)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.b", "a.b", true},
		{"a.*", "a.b", true},
		{"a.>", "a.b", true},
		{">", "a.b.c", true},
		{"a.>", "a.*", true},
		{"a.>", "a.b.>", true},
		{"a.*", "a.*", true},
		{"a.b", "a.c", false},
		{"a.b", "a.*", false},
		{"a.*", "a.>", false},
		{"a.*", "a.b.c", false},
		{"a.*", "a", false},
		{"a.>", "a", false},
		{"a.b.c", "a.b", false},
	} {
		if got := covers([]string{"elsewhere", c.pattern}, c.subject); got != c.want {
			t.Errorf("covers(%s, %s) is %t", c.pattern, c.subject, got)
		}
	}
}
