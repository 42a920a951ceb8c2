package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// listener is a task that notes what it is told.
type listener struct {
	controlled
	mu    sync.Mutex
	heard []string // guarded by mu
}

func newListener(id string) *listener {
	l := &listener{controlled: controlled{task: newTask(id)}}
	l.control = func(_ context.Context, body string) error { l.hear(body); return nil }
	return l
}

func (l *listener) hear(body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, body)
}

func (l *listener) wantHeard(f *fixture, want ...string) {
	f.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.heard, want) {
		f.Errorf("%s heard %q, want %q", l.details.ID, l.heard, want)
	}
}

func TestR09_EveryTaskThatBearsTheIDHearsInOrder(t *testing.T) {
	inBubble(t, 4, func(f *fixture) {
		a, b, other := newListener("x"), newListener("x"), newListener("y")
		f.request(a)
		f.slots()
		f.request(b) // two requests with one ID both run
		f.slots()
		f.request(other)
		f.want("P:x P:x P:y -")
		var want []string
		for i := range 20 {
			m := f.control("x", fmt.Sprint(i))
			want = append(want, fmt.Sprint(i))
			f.wantFate(m, occamytest.Acked)
		}
		a.wantHeard(f, want...)
		b.wantHeard(f, want...)
		other.wantHeard(f)
		f.wantErrors(occamy.ErrControlDropped, 0)
		f.wantFate(f.control("nobody", ""), occamytest.Acked)
	})
}

func TestR09_OneAtATimeAndWithoutHoldingUpAnybody(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		slow, quick := newListener("slow"), newListener("quick")
		under := 0
		slow.control = func(_ context.Context, body string) error {
			if under++; under > 1 {
				f.Error("two calls of Control at a time")
			}
			after(time.Second)
			under--
			slow.hear(body)
			return nil
		}
		f.request(slow)
		f.slots()
		f.request(quick)
		f.slots()
		begun := time.Now()
		for _, s := range []string{"1", "2", "3"} {
			f.control("slow", s)
			f.control("quick", s)
		}
		quick.wantHeard(f, "1", "2", "3")
		f.stillServes()
		o := newOwner("o", 1)
		f.request(o)
		f.slots()
		if time.Since(begun) != 0 {
			f.Errorf("held up for %v", time.Since(begun))
		}
		after(3 * time.Second)
		slow.wantHeard(f, "1", "2", "3")
	})
}

func TestR09_TheInboxExistsFromTheMomentTheTaskIsPlaced(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.optional(newSlow("helper", time.Second/2))
		f.slots()
		l := newListener("l")
		f.request(l) // waits
		f.want("E:helper~")
		f.control("l", "early")
		l.wantHeard(f)
		after(time.Second / 2)
		f.want("P:l")
		l.wantHeard(f, "early")
	})
}

func TestR09_TheInboxIsBounded(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		l := newListener("l")
		release := make(chan struct{})
		l.control = func(_ context.Context, body string) error { <-release; l.hear(body); return nil }
		f.request(l)
		f.slots()
		for i := range 6 {
			f.control("l", fmt.Sprint(i))
			synctest.Wait()
		}
		f.wantErrors(occamy.ErrControlDropped, 2) // one under way, three in the inbox
		close(release)
		l.wantHeard(f, "0", "1", "2", "3")
	}, func(c *occamy.Config) { c.InboxSize = 3 })
}

func TestR09_WhatIsLeftWhenTheTaskEndsIsRecorded(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(f *fixture, l *listener)
		lead bool // another task has the slot
	}{
		"it ends":                        {func(_ *fixture, l *listener) { l.finish <- nil }, false},
		"it is cancelled":                {func(f *fixture, _ *listener) { f.command("cancel", "l") }, false},
		"it never began":                 {func(f *fixture, _ *listener) { f.command("cancel", "l") }, true},
		"its request is handed over":     {func(f *fixture, _ *listener) { f.goShutdown(time.Minute) }, true},
		"it never began: its time is up": {func(*fixture, *listener) { after(time.Second / 2) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				if tt.lead {
					f.optional(newSlow("helper", 900*time.Millisecond))
					f.slots()
				}
				l := newListener("l")
				l.details.Deadline = time.Now().Add(time.Second / 4)
				if !tt.lead {
					l.details.Deadline = time.Time{}
				}
				release := make(chan struct{})
				l.control = func(context.Context, string) error { <-release; return nil }
				f.request(l)
				f.slots()
				f.control("l", "1")
				synctest.Wait()
				f.control("l", "2")
				synctest.Wait()
				tt.end(f, l)
				f.wantTaskError(occamy.ErrControlDropped, occamy.TaskError{ID: "l", Kind: kind, Status: occamy.Protected})
				close(release)
				after(time.Second)
			})
		})
	}
}

func TestR09_ABadControlTakesNobodyDown(t *testing.T) {
	for name, control := range map[string]func(context.Context, string) error{
		"panics":                         func(context.Context, string) error { panic("oh") },
		"fails":                          func(context.Context, string) error { return errWork },
		"ends its goroutine":             func(context.Context, string) error { runtime.Goexit(); return nil },
		"an error that is a nil pointer": func(context.Context, string) error { var e *fragileError; return e },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(f *fixture) {
				l := newListener("l")
				l.control = func(ctx context.Context, body string) error {
					l.hear(body)
					if body == "bad" {
						return control(ctx, body)
					}
					return nil
				}
				m := f.request(l)
				f.slots()
				f.wantFate(f.control("l", "bad"), occamytest.Acked)
				f.control("l", "good")
				l.wantHeard(f, "bad", "good")
				errs := f.monitor.Errors()
				var te *occamy.TaskError
				if len(errs) != 1 || !errors.As(errs[0], &te) || te.ID != "l" {
					f.Errorf("recorded %v", errs)
				}
				var p *occamy.PanicError
				if name != "fails" && (!errors.As(errs[0], &p) || p.Op != "Control" || len(p.Stack) == 0) {
					f.Errorf("recorded %v without a stack", errs[0])
				}
				f.stillServes()
				l.finish <- nil
				f.wantFate(m, occamytest.Acked)
			})
		})
	}
}

func TestR09_WatchersLearnWhichTasksTakeControlMessages(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		first := newListener("first")
		f.request(first)
		f.slots()
		w := &watcher{}
		stop := f.server.WatchTasks(w)
		second := newListener("second")
		f.request(second)
		f.slots()
		first.finish <- nil
		f.slots()
		f.request(newTask("takes none"))
		f.slots()
		stop()
		second.finish <- nil
		f.slots()
		if want := []string{"+first", "+second", "-first"}; !slices.Equal(w.told, want) {
			f.Errorf("told %v, want %v", w.told, want)
		}
	})
}

type watcher struct{ told []string }

func (w *watcher) TaskPlaced(id string) { w.told = append(w.told, "+"+id) }
func (w *watcher) TaskGone(id string)   { w.told = append(w.told, "-"+id) }

func TestR10_ABadHeaderIsRecordedAndTheMessageDropped(t *testing.T) {
	for name, h := range map[string]occamy.Headers{
		"task ID of the wrong type":       {"Occamy-Task-Id": 7},
		"task ID nil":                     {"Occamy-Task-Id": nil},
		"task ID empty":                   {"Occamy-Task-Id": ""},
		"command of the wrong type":       {"Occamy-Command": []byte("cancel"), "Occamy-Task-Id": "l"},
		"command empty":                   {"Occamy-Command": ""},
		"command unknown":                 {"Occamy-Command": "explode", "Occamy-Task-Id": "l"},
		"cancel without a target":         {"Occamy-Command": "cancel"},
		"cancel of an empty ID":           {"Occamy-Command": "cancel", "Occamy-Task-Id": ""},
		"cancel of a number":              {"Occamy-Command": "cancel", "Occamy-Task-Id": 7},
		"drain without a server":          {"Occamy-Command": "drain"},
		"resume of a server with no name": {"Occamy-Command": "resume", "Occamy-Server": ""},
		"drain of a number":               {"Occamy-Command": "drain", "Occamy-Server": 1.5},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				l := newListener("l")
				f.request(l)
				f.slots()
				m := occamytest.NewDelivery(h, nil)
				f.server.HandleControl(m)
				f.wantFate(m, occamytest.Acked) // a rejection would dead-letter it once for each server
				f.wantErrors(occamy.ErrInvalidHeader, 1)
				f.want("P:l")
				l.wantHeard(f)
				l.finish <- nil
				f.stillServes()
			})
		})
	}
}

// unkept is a message that its broker does not keep.
type unkept struct{ *occamytest.Delivery }

func (unkept) Unkept() {}

func TestR11_WhatNoBrokerKeepsIsNotAcked(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		l := newListener("x")
		f.request(l)
		f.slots()
		f.give(newTask("o"))
		for what, m := range map[string]*occamytest.Delivery{
			"a control message":   occamytest.NewDelivery(occamytest.ControlHeaders("x"), []byte("hello")),
			"an optional request": delivery("o"),
		} {
			f.server.HandleControl(unkept{m})
			synctest.Wait()
			if n := m.Calls(); n != 0 {
				f.Errorf("%s was settled %d times", what, n)
			}
		}
		l.wantHeard(f, "hello")
		f.want("P:x E:o")
	})
}
