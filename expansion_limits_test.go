package occamy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
)

func TestR16_ATaskWhoseExpandIsStillUnderWayIsNotOfferedAgain(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		release := make(chan struct{})
		h := &expander{task: newTask("h")}
		h.expand = func(context.Context, int) []occamy.Task { <-release; return nil }
		o := &expander{task: newTask("o"), expand: func(context.Context, int) []occamy.Task { return []occamy.Task{h} }}
		f.request(o)
		f.want("P:o I:h -")
		after(2 * time.Second)
		if n := h.asks.Load(); n != 1 {
			f.Fatalf("the helper was asked %d times", n)
		}
		h.finish <- nil
		after(5 * time.Second)
		f.want("P:o - -") // it is offered in each period, and dropped
		close(release)
		after(time.Second)
		f.want("P:o I:h -")
	})
}

func TestR16_AHelperHasItsOwnLimits(t *testing.T) {
	for name, limit := range map[string]func(*occamy.Details){
		"timeout":  func(d *occamy.Details) { d.Timeout = time.Second / 2 },
		"deadline": func(d *occamy.Details) { d.Deadline = time.Now().Add(time.Second / 2) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(f *fixture) {
				h := newTask("h")
				limit(&h.details)
				o := &expander{task: newTask("o")}
				o.expand = func(context.Context, int) []occamy.Task {
					if o.asks.Load() > 1 {
						return nil
					}
					return []occamy.Task{h}
				}
				f.request(o)
				f.want("P:o I:h")
				after(time.Second / 2)
				f.want("P:o -")
				if c := h.stopCause(); !errors.Is(c, occamy.ErrTimeout) {
					f.Errorf("cause %v", c)
				}
			})
		})
	}
}
