package occamy_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// nasty is an error whose methods do what no error should.
type nasty struct {
	calls            int
	text, is, as, un func(call int)
}

func (e *nasty) do(f func(int)) {
	e.calls++
	if f != nil {
		f(e.calls)
	}
}
func (e *nasty) Error() string   { e.do(e.text); return "nasty" }
func (e *nasty) Is(error) bool   { e.do(e.is); return false }
func (e *nasty) As(any) bool     { e.do(e.as); return false }
func (e *nasty) Unwrap() []error { e.do(e.un); return nil }

// R16: user code never takes the server down, and an error is user code.
func TestR16_ErrorsWithMethodsThatPanic(t *testing.T) {
	boom := func(int) { panic("boom") }
	later := func(n int) {
		if n > 2 {
			panic("boom")
		}
	}
	for name, make := range map[string]func() error{
		"Error":       func() error { return &nasty{text: boom} },
		"Error later": func() error { return &nasty{text: later} },
		"Is":          func() error { return &nasty{is: boom} },
		"Is later":    func() error { return &nasty{is: later} },
		"As":          func() error { return &nasty{as: boom} },
		"As later":    func() error { return &nasty{as: later} },
		"Unwrap":      func() error { return &nasty{un: boom} },
		"requeue":     func() error { return occamy.Requeue(&nasty{as: boom, text: boom}, 0) },
		"panic":       func() error { panic(&nasty{is: boom, as: boom, text: boom, un: boom}) },
		"Goexit":      func() error { return &nasty{text: func(int) { runtime.Goexit() }} },
		"nil pointer": func() error { return (*occamy.TaskError)(nil) },
	} {
		t.Run("Do/"+name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				nt := newTask("t")
				nt.do = func(context.Context) error { return make() }
				m := f.request(nt)
				<-m.Settled()
				if fate := m.Settlement().Fate; fate != occamytest.Rejected && fate != occamytest.Requeued {
					t.Errorf("settled as %q", fate)
				}
				f.stillServes()
			})
		})
		t.Run("Handle/"+name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				f.plan("t", func(context.Context, occamy.Request) (occamy.Task, error) { return nil, make() })
				m := f.requestID("t")
				<-m.Settled()
				f.stillServes()
			})
		})
		t.Run("optional Handle/"+name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				f.plan("t", func(context.Context, occamy.Request) (occamy.Task, error) { return nil, make() })
				m := delivery("t")
				f.server.HandleControl(m)
				<-m.Settled()
				f.stillServes()
			})
		})
		t.Run("Control/"+name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				c := &controlled{task: newTask("c"), control: func(context.Context, string) error { return make() }}
				f.request(c)
				f.want("P:c")
				f.control("c", "x")
				f.want("P:c")
				f.control("c", "x")
				f.want("P:c")
				close(c.finish)
				f.stillServes()
			})
		})
		t.Run("Ack/"+name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				nt := newTask("t")
				nt.do = func(context.Context) error { return nil }
				f.give(nt)
				m := delivery("t")
				m.OnSettle = func(context.Context, occamytest.Settlement, int) error { return make() }
				f.server.HandleRequest(m)
				f.want("-")
				f.stillServes()
			})
		})
	}
}
