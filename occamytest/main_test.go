package occamytest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a TB that keeps what it is told.
type recorder struct {
	errors, logs []string
}

func (*recorder) Helper() {}

func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// want checks that there was one error for each of these, and no other. Each is
// a kind, "what it says" and further texts, split by |.
func (r *recorder) want(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		texts := strings.Split(w, "|")
		i := slices.IndexFunc(r.errors, func(e string) bool { return strings.HasPrefix(e, "occamytest: "+texts[0]+":") })
		if i < 0 {
			t.Errorf("no error of the kind %q", texts[0])
			continue
		}
		for _, text := range texts[1:] {
			if !strings.Contains(r.errors[i], text) {
				t.Errorf("the error does not say %q: %s", text, r.errors[i])
			}
		}
		r.errors = slices.Delete(r.errors, i, i+1)
	}
	for _, e := range r.errors {
		t.Errorf("unexpected: %s", e)
	}
}
