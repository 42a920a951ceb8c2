package occamy_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
)

func TestR14_ATaskThatDeclinedIsAskedAtOnceWhenItSaysSo(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		o := newOwner("o", 2)
		var loaded atomic.Bool
		inner := o.expand
		o.expand = func(ctx context.Context, n int) []occamy.Task {
			if !loaded.Load() {
				return nil
			}
			return inner(ctx, n)
		}
		o.do = func(ctx context.Context) error {
			after(100 * time.Millisecond)
			loaded.Store(true)
			occamy.AskAgain(ctx)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		f.request(o)
		after(99 * time.Millisecond)
		f.want("P:o - -")
		after(time.Millisecond)
		f.want("P:o I:o.1 I:o.2")
	})
}

// A task that is loaded while Expand says that it is not must not wait a period.
func TestR14_AskAgainDuringExpandIsNotLost(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		o := newOwner("o", 1)
		inner, first := o.expand, true
		o.expand = func(ctx context.Context, n int) []occamy.Task {
			if first {
				first = false
				occamy.AskAgain(ctx)
				return nil
			}
			return inner(ctx, n)
		}
		f.request(o)
		f.want("P:o I:o.1")
	})
}

func TestR14_ATaskThatKeepsSayingAskAgainIsAskedOnceInARefillDelay(t *testing.T) {
	for name, delay := range map[string]time.Duration{"10 ms": 0, "off": -1, "50 ms": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(f *fixture) {
				o := &expander{task: newTask("o"), expand: func(context.Context, int) []occamy.Task { return nil }}
				var calls atomic.Int32
				o.do = func(ctx context.Context) error {
					for ctx.Err() == nil {
						occamy.AskAgain(ctx)
						calls.Add(1)
						after(time.Millisecond)
					}
					return context.Cause(ctx)
				}
				f.request(o)
				synctest.Wait()
				asks := o.asks.Load()
				after(time.Second)
				want := time.Second / max(delay, 10*time.Millisecond)
				// Once a period it would be asked anyway.
				if got := time.Duration(o.asks.Load() - asks); got < want-2 || got > want+3 {
					t.Errorf("asked %d times for %d calls, want about %d", got, calls.Load(), want)
				}
			}, func(c *occamy.Config) { c.RefillDelay = delay })
		})
	}
}

func TestAskAgainOutsideOfAnExpanderDoesNothing(t *testing.T) {
	occamy.AskAgain(t.Context())
	inBubble(t, 1, func(f *fixture) {
		o := newTask("o")
		o.do = func(ctx context.Context) error { occamy.AskAgain(ctx); return nil }
		m := f.request(o)
		<-m.Settled()
		f.want("-")
	})
}
