package occamy_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

func (fx *fixture) wantBacklog(n int) {
	fx.Helper()
	synctest.Wait()
	if got := fx.server.Snapshot().Backlog; got != n {
		fx.Errorf("backlog of %d, want %d; slots %s", got, n, fx.slots())
	}
}

func TestR11_AnOptionalRequestStartsWhereThereIsRoom(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		e := newTask("e")
		m := f.optional(e)
		f.want("E:e -")
		f.wantFate(m, occamytest.Acked) // when it is kept, not when it is done
		if i := e.taskInfo(); i.Status != occamy.External || i.ID != "e" || i.Kind != kind || i.Server != "server" {
			f.Errorf("info %+v", i)
		}
		e.finish <- nil
		f.want("- -")
		f.wantBacklog(0)
		f.wantFate(m, occamytest.Acked)
	})
}

func TestR11_TheBacklogIsByPriorityThenArrival(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		p := newTask("p")
		f.request(p)
		f.slots()
		var tasks []*task
		for i, prio := range []int{1, 5, 5, 9} {
			e := newTask(fmt.Sprint("e", i))
			e.details.Priority = prio
			tasks = append(tasks, e)
			f.optional(e)
			f.slots()
		}
		f.wantBacklog(4)
		p.finish <- nil
		for _, i := range []int{3, 1, 2, 0} {
			f.want(fmt.Sprint("E:e", i))
			tasks[i].finish <- nil
		}
		f.want("-")
	}, withoutRefill)
}

func TestR11_ItIsBoundedInNumber(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		p := newTask("p")
		f.request(p)
		f.slots()
		for i, prio := range []int{3, 2, 1, 4} {
			e := newTask(fmt.Sprint("e", i))
			e.details.Priority = prio
			f.wantFate(f.optional(e), occamytest.Acked)
		}
		f.wantBacklog(2)
		f.wantErrors(occamy.ErrOptionalDropped, 2)
		f.wantTaskError(occamy.ErrOptionalDropped, occamy.TaskError{ID: "e1", Kind: kind, Status: occamy.External})
		f.wantTaskError(occamy.ErrOptionalDropped, occamy.TaskError{ID: "e2", Kind: kind, Status: occamy.External})
		p.finish <- nil
		f.want("E:e3")
	}, func(c *occamy.Config) { c.MaxBacklog = 2 })
}

func TestR11_ItIsBoundedInBytes(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.request(newTask("p"))
		f.slots()
		for i := range 5 {
			e := newTask(fmt.Sprint("e", i))
			f.give(e)
			f.server.HandleControl(occamytest.NewMessage(occamytest.RequestHeaders(kind, e.details.ID), make([]byte, 300)))
			f.slots()
		}
		f.wantBacklog(2)
		f.wantErrors(occamy.ErrOptionalDropped, 3)
	}, func(c *occamy.Config) { c.MaxBacklogBytes = 1000 })
}

// table is what a broker's library may give for a header that is a map.
type table map[string]any

func TestR11_EveryTypeOfHeaderCountsTowardsItsBytes(t *testing.T) {
	text := strings.Repeat("x", 1000)
	deep := any(text)
	for range 100 {
		deep = []any{deep}
	}
	circle := table{}
	circle["self"], circle["again"] = circle, circle
	for name, value := range map[string]any{
		"string": text, "bytes": []byte(text), "strings": []string{text[:500], text[500:]},
		"array": []any{1, []byte(text)}, "numbers": make([]int64, 125), "map": map[string]any{text: true},
		"named map": table{"k": table{"k": text}}, "pointer": &text, "deep": deep, "circle": circle,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				f.request(newTask("p"))
				f.slots()
				for i := range 2 {
					e := newTask(fmt.Sprint("e", i))
					f.give(e)
					h := occamytest.RequestHeaders(kind, e.details.ID)
					if i == 0 {
						h["large"] = value
					}
					f.server.HandleControl(occamytest.NewMessage(h, nil))
					f.slots()
				}
				f.wantBacklog(1)
				f.wantTaskError(occamy.ErrOptionalDropped, occamy.TaskError{ID: "e0", Kind: kind, Status: occamy.External})
			}, func(c *occamy.Config) { c.MaxBacklogBytes = 900 })
		})
	}
}

func TestR11_NoBacklogAtAll(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		m := f.optional(newTask("e"))
		f.want("-")
		f.wantFate(m, occamytest.Acked)
		f.wantErrors(occamy.ErrOptionalDropped, 1)
	}, func(c *occamy.Config) { c.MaxBacklog = -1 })
}

func TestR11_UntilItsDeadline(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		p := newTask("p")
		f.request(p)
		f.slots()
		e := newTask("e")
		e.details.Deadline = time.Now().Add(time.Minute)
		f.optional(e)
		after(time.Minute - 1)
		f.wantBacklog(1)
		after(1)
		f.wantBacklog(0)
		p.finish <- nil
		f.want("-")
		late := newTask("late")
		late.details.Deadline = time.Now()
		f.optional(late)
		f.want("-")
	})
}

func TestR11_TheDeadlineHoldsAfterAPreemptionToo(t *testing.T) {
	for name, running := range map[string]bool{"in the backlog": false, "while it runs again": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				e := newTask("e")
				e.details.Deadline = time.Now().Add(time.Minute)
				f.optional(e)
				f.slots()
				p := newTask("p")
				f.request(p)
				f.want("P:p")
				f.wantBacklog(1)
				if running {
					p.finish <- nil
					f.want("E:e")
				}
				after(time.Minute)
				f.wantBacklog(0)
				if running {
					f.want("-")
					if c := e.stopCause(); !errors.Is(c, occamy.ErrTimeout) {
						f.Errorf("cause %v", c)
					}
				}
			})
		})
	}
}

func TestR11_ANewerOneReplacesAnOlder(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		p := newTask("p")
		f.request(p)
		f.slots()
		older, newer := newTask("e"), newTask("e")
		f.optional(older)
		f.wantBacklog(1)
		f.optional(newer)
		f.wantBacklog(1)
		p.finish <- nil
		f.want("E:e")
		if older.runs.Load() != 0 || newer.runs.Load() != 1 {
			f.Error("the older one runs")
		}
		third := newTask("e")
		f.optional(third) // one runs already: dropped
		f.slots()
		newer.finish <- nil
		f.want("-")
		if third.runs.Load() != 0 {
			f.Error("the third one ran")
		}
	}, withoutRefill)
}

func TestR11_AfterAPreemptionTheHandlerMakesItAnew(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		var made []*task
		f.plan("e", func(_ context.Context, r occamy.Request) (occamy.Task, error) {
			if !r.Optional || string(r.Body) != "body" {
				f.Errorf("request %+v", r)
			}
			e := newTask("e")
			made = append(made, e)
			return e, nil
		})
		f.server.HandleControl(occamytest.NewMessage(occamytest.RequestHeaders(kind, "e"), []byte("body")))
		f.want("E:e")
		p := newTask("p")
		f.request(p)
		f.want("P:p")
		f.wantBacklog(1)
		if c := made[0].stopCause(); !errors.Is(c, occamy.ErrPreempted) {
			f.Errorf("cause %v", c)
		}
		p.finish <- nil
		f.want("E:e")
		if len(made) != 2 || made[1].runs.Load() != 1 {
			f.Errorf("%d were made", len(made))
		}
		made[1].finish <- nil
		f.want("-")
		f.wantBacklog(0)
	}, withoutRefill)
}

func TestR11_WhenItCannotBeMadeAnewItIsDropped(t *testing.T) {
	for name, again := range map[string]func() (occamy.Task, error){
		"fails":              func() (occamy.Task, error) { return nil, errWork },
		"nil":                func() (occamy.Task, error) { return nil, nil },
		"panics":             func() (occamy.Task, error) { panic(errWork) },
		"ends its goroutine": func() (occamy.Task, error) { runtime.Goexit(); return nil, nil },
		"blocks":             func() (occamy.Task, error) { after(time.Hour); return newTask("e"), nil },
		"another ID":         func() (occamy.Task, error) { return newTask("f"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				n := 0
				f.plan("e", func(context.Context, occamy.Request) (occamy.Task, error) {
					if n++; n > 1 {
						return again()
					}
					return newTask("e"), nil
				})
				m := f.requestOptional("e")
				f.want("E:e")
				p := newTask("p")
				f.request(p)
				f.want("P:p")
				after(10 * time.Second)
				f.wantBacklog(0)
				if len(f.monitor.Errors()) != 1 {
					f.Errorf("recorded %v", f.monitor.Errors())
				}
				p.finish <- nil
				f.want("-")
				f.wantFate(m, occamytest.Acked)
				after(2 * time.Hour)
				f.want("-")
				f.stillServes()
			})
		})
	}
}

func (fx *fixture) requestOptional(id string) *occamytest.Delivery {
	m := delivery(id)
	fx.server.HandleControl(m)
	return m
}

func TestR11_ReplacedOrCancelledWhileStoppingItIsNotPutBack(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		e := newSlow("e", time.Second/2)
		f.optional(e)
		f.slots()
		p := newTask("p")
		f.request(p)
		f.want("E:e~")
		newer := newTask("e")
		f.optional(newer)
		f.wantBacklog(1)
		after(time.Second / 2)
		f.want("P:p")
		f.wantBacklog(1)
		p.finish <- nil
		f.want("E:e")
		if e.runs.Load() != 1 || newer.runs.Load() != 1 {
			f.Error("the older one runs")
		}
		f.command("cancel", "e")
		f.want("-")
	}, withoutRefill)
	inBubble(t, 1, func(f *fixture) {
		f.optional(newSlow("e", time.Second/2))
		f.slots()
		f.request(newTask("p"))
		f.want("E:e~")
		f.command("cancel", "e")
		after(time.Second / 2)
		f.want("P:p")
		f.wantBacklog(0)
	})
}

func TestR11_ABadOneIsRecordedAndDroppedNeverDeadLettered(t *testing.T) {
	for name, tt := range map[string]struct {
		headers occamy.Headers
		handler func() (occamy.Task, error)
		want    error
	}{
		"unknown kind":       {occamytest.RequestHeaders("other", "e"), nil, occamy.ErrUnknownKind},
		"no kind":            {occamy.Headers{"Occamy-Request-Id": "e"}, nil, occamy.ErrInvalidHeader},
		"a bad header":       {occamy.Headers{"Occamy-Kind": kind, "Occamy-Priority": "high"}, nil, occamy.ErrInvalidHeader},
		"handler fails":      {nil, func() (occamy.Task, error) { return nil, errWork }, errWork},
		"handler gives nil":  {nil, func() (occamy.Task, error) { return nil, nil }, occamy.ErrNilTask},
		"handler panics":     {nil, func() (occamy.Task, error) { panic(errWork) }, errWork},
		"handler wants more": {nil, func() (occamy.Task, error) { return nil, occamy.ErrRequeue }, occamy.ErrRequeue},
		"handler blocks":     {nil, func() (occamy.Task, error) { after(time.Hour); return newTask("e"), nil }, occamy.ErrHandlerTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				f.plan("e", func(context.Context, occamy.Request) (occamy.Task, error) { return tt.handler() })
				if tt.headers == nil {
					tt.headers = occamytest.RequestHeaders(kind, "e")
				}
				m := occamytest.NewMessage(tt.headers, nil)
				f.server.HandleControl(m)
				good := newTask("good")
				f.optional(good) // waits its turn behind a slow handler
				after(5 * time.Second)
				f.want("E:good")
				f.wantFate(m, occamytest.Acked)
				f.wantErrors(tt.want, 1)
				after(2 * time.Hour)
				f.want("E:good")
				f.stillServes()
			})
		})
	}
}
