package occamy_test

import (
	"context"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
)

// goroutinesCreated counts those that the process has ever started; a timer
// that fires starts one.
func goroutinesCreated() uint64 {
	s := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func TestR17_AnIdleServerCostsNothing(t *testing.T) {
	for name, lay := range map[string]func(f *fixture){
		"no task":                func(*fixture) {},
		"one that cannot expand": func(f *fixture) { f.request(newTask("r")) },
		"a full house":           func(f *fixture) { f.request(newOwner("o", 1000)) },
		"after one that could": func(f *fixture) {
			o := newOwner("o", 3)
			f.request(o)
			f.slots()
			o.finish <- nil
		},
		"after a cancelled one": func(f *fixture) {
			f.request(newTask("r"))
			f.slots()
			f.command("cancel", "r")
		},
		"a backlog and no room": func(f *fixture) {
			f.request(newOwner("o", 1000))
			f.slots()
			f.optional(newTask("e"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1000, func(f *fixture) {
				lay(f)
				after(time.Minute) // what is under way comes to its end
				synctest.Wait()
				before := goroutinesCreated()
				after(24 * time.Hour)
				synctest.Wait()
				if n := goroutinesCreated() - before; n > 20 {
					f.Errorf("%d goroutines were started in a day of idleness", n)
				}
			})
		})
	}
}

func TestR17_OneThatHasDeclinedCostsOneCallEachPeriod(t *testing.T) {
	inBubble(t, 1000, func(f *fixture) {
		o := &expander{task: newTask("o"), expand: func(context.Context, int) []occamy.Task { return nil }}
		f.request(o)
		after(time.Minute + time.Millisecond)
		if n := o.asks.Load(); n < 59 || n > 62 {
			f.Errorf("asked %d times in 60 periods", n)
		}
	})
}
