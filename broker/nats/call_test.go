package nats

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// watchedContext counts how often it is looked at.
type watchedContext struct {
	context.Context
	looks *int
}

func (c watchedContext) Err() error { *c.looks++; return c.Context.Err() }

// However many calls wait, to look for those whose time is over does not take
// over the process: before, 10,000 were looked at 50 times a second.
func TestManyCallsThatWaitAreLookedAtRarely(t *testing.T) {
	for _, c := range []struct {
		waiting, most int // looks at one call in 10 s
	}{
		{1, 501}, {800, 501}, {10_000, 41}, {20_000, 21},
	} {
		synctest.Test(t, func(t *testing.T) {
			all, looks := newCalls(), 0
			ctx, cancel := context.WithCancel(t.Context())
			var last *call
			for range c.waiting {
				last = &call{ctx: watchedContext{ctx, &looks}, until: time.Now().Add(time.Hour), answer: make(chan answer, 1)}
				if _, err := all.add(last); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Second)
			all.mu.Lock()
			each := looks / c.waiting
			all.mu.Unlock()
			if each > c.most || each < c.most*9/10 {
				t.Errorf("%d calls: each looked at %d times in 10 s; want about %d", c.waiting, each, c.most)
			}
			cancel()
			begun := time.Now()
			if a := <-last.answer; !errors.Is(a.err, context.Canceled) {
				t.Errorf("%d calls: the answer is %v", c.waiting, a)
			}
			if took := time.Since(begun); took > max(lookEvery, time.Duration(c.waiting)*lookEach) {
				t.Errorf("%d calls: the end of their context was seen after %v", c.waiting, took)
			}
		})
	}
}

func TestACallWhoseTimeIsOverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newCalls()
		w := &call{ctx: t.Context(), until: time.Now().Add(time.Second), answer: make(chan answer, 1)}
		if _, err := all.add(w); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if a := <-w.answer; !errors.Is(a.err, errNoWord) {
			t.Errorf("the answer is %v", a)
		}
		if took := time.Since(begun); took < time.Second || took > time.Second+2*lookEvery {
			t.Errorf("it ended after %v; want a second", took)
		}
	})
}
