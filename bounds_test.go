package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// R7: a client that waits always gets an end, even where the reason of a
// rejection is larger than the broker carries.
func TestR07_ReasonTooLargeForAnOutcome(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		nt := newTask("t")
		nt.do = func(context.Context) error { return errors.New("why: " + strings.Repeat("x", 1<<20)) }
		f.give(nt)
		d := occamytest.NewDelivery(occamytest.With(occamytest.RequestHeaders(kind, "t"), occamy.Headers{"Occamy-Outcome": "true"}), nil)
		d.OnOutcome = func(_ context.Context, o occamy.Outcome) error {
			if len(o.Reason) > 10_000 {
				return fmt.Errorf("%w: %d bytes", occamy.ErrTooLarge, len(o.Reason))
			}
			return nil
		}
		f.server.HandleRequest(d)
		f.wantFate(d, occamytest.Rejected)
		got := d.Outcomes()
		if len(got) != 1 || got[0].Status != occamy.Rejected || !strings.HasPrefix(got[0].Reason, "why: xxx") {
			t.Errorf("outcomes: %.200v", got)
		}
		f.stillServes()
	})
}

// R18: 10,000 slots full of tasks and helpers end within a second, and nothing
// is left.
func TestR18_ShutdownOfTenThousandSlots(t *testing.T) {
	const n = 10_000
	inBubble(t, n, func(f *fixture) {
		var all []*occamytest.Delivery
		for i := range 100 {
			all = append(all, f.request(newOwner(fmt.Sprint(i), n)))
		}
		f.slots()
		if snap := f.server.Snapshot(); strings.Contains(draw(snap), "- -") {
			t.Error("there are empty slots")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := f.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		for _, d := range all {
			f.wantFate(d, occamytest.Requeued)
		}
	})
}
