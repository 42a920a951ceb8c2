package occamy_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

const ackWait = 30 * time.Second

// leased hands the server a request for r whose broker gives it to somebody
// else after ackWait.
func (fx *fixture) leased(r *task, keepAlive func(ctx context.Context, n int) error) *occamytest.Delivery {
	fx.give(r)
	m := delivery(r.details.ID)
	m.Wait = ackWait
	m.OnKeepAlive = keepAlive
	fx.server.HandleRequest(m)
	return m
}

func TestR08_WorkLongerThanTheAckDeadlineStaysOurs(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		m := f.leased(r, nil)
		after(5 * time.Hour)
		f.want("P:r")
		if n, least := m.KeepAlives(), int(5*time.Hour/ackWait); n < 2*least {
			f.Errorf("%d keep-alives in 5 h, want several in each of %d waits", n, least)
		}
		r.finish <- nil
		f.wantFate(m, occamytest.Acked)
		n := m.KeepAlives()
		after(time.Hour)
		if m.KeepAlives() != n {
			f.Error("kept alive after it was settled")
		}
	})
}

func TestR08_TheLeaseEndsOneWaitAfterTheLastConfirmedKeepAliveWasSent(t *testing.T) {
	hang := func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
	fail := func(context.Context, int) error { return errBroker }
	var sent time.Time
	for name, tt := range map[string]struct {
		keepAlive func(ctx context.Context, n int) error
		base      func(begun time.Time) time.Time // the sending of the last confirmed one
	}{
		"all fail": {fail, func(b time.Time) time.Time { return b }},
		"all hang": {hang, func(b time.Time) time.Time { return b }},
		"they panic": {func(context.Context, int) error { panic("broker") },
			func(b time.Time) time.Time { return b }},
		"hang for ever": {func(context.Context, int) error { after(time.Hour); return nil },
			func(b time.Time) time.Time { return b }},
		"the third is the last": {func(ctx context.Context, n int) error {
			if n > 3 {
				return fail(ctx, n)
			}
			sent = time.Now()
			return nil
		}, func(time.Time) time.Time { return sent }},
		"slow to be confirmed": {func(ctx context.Context, n int) error {
			if n > 1 {
				return hang(ctx, n)
			}
			sent = time.Now()
			after(5 * time.Second)
			return nil
		}, func(time.Time) time.Time { return sent }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				r := newTask("r")
				begun := time.Now()
				m := f.leased(r, tt.keepAlive)
				lost := f.monitor.WaitError(f.Context(), occamy.ErrDeliveryLost)
				if since := time.Since(tt.base(begun)); since >= ackWait || since < ackWait*3/4 {
					f.Errorf("given up %v after the last confirmed one was sent, want a little less than %v", since, ackWait)
				}
				var te *occamy.TaskError
				if !errors.As(lost, &te) || te.ID != "r" {
					f.Errorf("recorded %v", lost)
				}
				f.want("-")
				if c := r.stopCause(); !errors.Is(c, occamy.ErrDeliveryLost) {
					f.Errorf("cause %v", c)
				}
				after(3 * time.Hour)
				f.wantFate(m, occamytest.Unsettled)
				f.wantErrors(occamy.ErrDeliveryLost, 1)
				f.stillServes()
			})
		})
	}
}

func TestR08_AKeepAliveThatFailsOnceIsNoLoss(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		m := f.leased(r, func(_ context.Context, n int) error {
			if n%2 == 1 {
				return errBroker
			}
			return nil
		})
		after(time.Hour)
		f.want("P:r")
		r.finish <- nil
		f.wantFate(m, occamytest.Acked)
	})
}

func TestR08_TheBrokerSaysThatTheDeliveryIsLost(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		m := f.leased(r, func(context.Context, int) error { return occamy.ErrDeliveryLost })
		if err := f.monitor.WaitError(f.Context(), occamy.ErrDeliveryLost); err == nil {
			f.Error("no loss was recorded")
		}
		f.want("-")
		f.wantFate(m, occamytest.Unsettled)
	})
}

func TestR08_ALostDeliveryIsNeverSettled(t *testing.T) {
	block := func(f *fixture) func() {
		release := make(chan struct{})
		f.plan("r", func(ctx context.Context, _ occamy.Request) (occamy.Task, error) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return newTask("r"), nil
		})
		return func() { close(release) }
	}
	for name, lay := range map[string]func(f *fixture) *occamytest.Delivery{
		"running": func(f *fixture) *occamytest.Delivery { return f.request(newTask("r")) },
		"converting": func(f *fixture) *occamytest.Delivery {
			block(f)
			return f.requestID("r")
		},
		"waiting": func(f *fixture) *occamytest.Delivery {
			f.optional(newSlow("e", time.Second/2))
			f.slots()
			return f.request(newTask("r"))
		},
		"held": func(f *fixture) *occamytest.Delivery {
			p := newTask("p")
			p.details.Timeout = time.Second / 2
			f.request(p)
			f.slots()
			return f.request(newTask("r"))
		},
		"stopping": func(f *fixture) *occamytest.Delivery {
			m := f.request(newSlow("r", time.Second/2))
			f.slots()
			f.command("cancel", "r")
			return m
		},
		"stuck": func(f *fixture) *occamytest.Delivery {
			r := newSlow("r", time.Hour)
			f.give(r)
			m := delivery("r")
			m.OnSettle = func(ctx context.Context, _ occamytest.Settlement, _ int) error { return errBroker }
			f.server.HandleRequest(m)
			f.slots()
			f.command("cancel", "r")
			after(2 * time.Second)
			return m
		},
		"being settled": func(f *fixture) *occamytest.Delivery {
			r := newTask("r")
			r.do = returns(false, nil)
			f.give(r)
			m := delivery("r")
			m.OnSettle = func(ctx context.Context, _ occamytest.Settlement, _ int) error { return errBroker }
			f.server.HandleRequest(m)
			return m
		},
		"before the server took it": func(f *fixture) *occamytest.Delivery {
			f.give(newTask("r"))
			m := delivery("r")
			m.Lose()
			f.server.HandleRequest(m)
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				m := lay(f)
				f.slots()
				m.Lose()
				synctest.Wait()
				calls := m.Calls()
				after(2 * time.Hour)
				f.wantFate(m, occamytest.Unsettled)
				if m.Calls() != calls {
					f.Error("settling went on")
				}
				f.wantErrors(occamy.ErrDeliveryLost, 1)
				f.stillServes()
			})
		})
	}
}

func TestR08_SettlingStopsAtTheEndOfTheLease(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		r := newTask("r")
		r.do = returns(false, nil)
		f.give(r)
		m := delivery("r")
		m.Wait = 10 * time.Second
		m.OnKeepAlive = func(context.Context, int) error { return errBroker }
		begun := time.Now()
		m.OnSettle = func(context.Context, occamytest.Settlement, int) error {
			if time.Since(begun) >= m.Wait {
				f.Error("tried to settle what somebody else has")
			}
			return errBroker
		}
		f.server.HandleRequest(m)
		after(time.Minute)
		f.wantErrors(occamy.ErrDeliveryLost, 1)
		f.wantFate(m, occamytest.Unsettled)
	})
}

func TestR08_AHeldMessageIsKeptAliveToo(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		p := newTask("p")
		f.request(p)
		f.slots()
		r := newTask("r")
		m := f.leased(r, nil)
		after(10 * ackWait)
		p.finish <- nil
		f.want("P:r")
		r.finish <- nil
		f.wantFate(m, occamytest.Acked)
	})
}
