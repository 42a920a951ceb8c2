package occamy_test

import (
	"context"
	"errors"
	"testing"

	"github.com/occamy-go/occamy"
)

// The pattern that ExampleExpander teaches: a helper that is stopped in the
// middle of a chunk, or that panics there, gives it back, and its owner is told.
func TestTheExpanderExampleLosesNoChunk(t *testing.T) {
	for name, end := range map[string]func(h occamy.Task){
		"stopped": func(h occamy.Task) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(occamy.ErrPreempted)
			if err := h.Do(ctx); !errors.Is(err, occamy.ErrPreempted) {
				t.Errorf("a stopped helper returned %v", err)
			}
		},
		"panicked": func(h occamy.Task) {
			defer func() {
				if recover() == nil {
					t.Error("the helper did not panic")
				}
			}()
			_ = h.Do(nil) //nolint:staticcheck // nil has it panic in the middle of its work
		},
		"never started": func(occamy.Task) {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSum()
			before := len(s.chunks)
			helpers := s.Expand(t.Context(), 1)
			if len(helpers) != 1 {
				t.Fatalf("%d helpers, want 1", len(helpers))
			}
			end(helpers[0])
			if len(s.chunks) != before || s.taken != 0 {
				t.Errorf("%d of %d chunks are left, %d are taken", len(s.chunks), before, s.taken)
			}
			if told := len(s.news) == 1; told != (name != "never started") {
				t.Errorf("the owner was told: %t", told)
			}
			if err := s.work(t.Context()); err != nil || s.total != 5050 {
				t.Errorf("the owner alone: total %d, %v", s.total, err)
			}
		})
	}
}
