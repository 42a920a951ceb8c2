package occamy_test

import (
	"context"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

// asyncDelivery is one whose ack needs no goroutine that waits.
type asyncDelivery struct {
	*occamytest.Delivery
	ackAsync func(ctx context.Context, m *occamytest.Delivery, done func(error))
}

func (m asyncDelivery) AckAsync(ctx context.Context, done func(error)) {
	m.ackAsync(ctx, m.Delivery, done)
}

func (fx *fixture) requestAsync(ackAsync func(ctx context.Context, m *occamytest.Delivery, done func(error))) *occamytest.Delivery {
	r := newTask("r")
	r.do = returns(false, nil)
	fx.give(r)
	m := delivery("r")
	fx.server.HandleRequest(asyncDelivery{m, ackAsync})
	return m
}

// ackLater is the ack of a broker that answers after a while.
func ackLater(d time.Duration) func(context.Context, *occamytest.Delivery, func(error)) {
	return func(ctx context.Context, m *occamytest.Delivery, done func(error)) {
		time.AfterFunc(d, func() { done(m.Ack(ctx)) })
	}
}

func TestR08_AnAckThatIsAnsweredLater(t *testing.T) {
	for name, c := range map[string]struct {
		ackAsync func(ctx context.Context, m *occamytest.Delivery, done func(error))
		calls    int // of Ack
	}{
		"succeeds":         {ackLater(time.Second), 1},
		"succeeds at once": {func(ctx context.Context, m *occamytest.Delivery, done func(error)) { done(m.Ack(ctx)) }, 1},
		"is answered twice": {func(ctx context.Context, m *occamytest.Delivery, done func(error)) {
			done(m.Ack(ctx))
			done(errBroker)
		}, 1},
		"fails, and is tried again": {func(_ context.Context, _ *occamytest.Delivery, done func(error)) {
			time.AfterFunc(time.Second, func() { done(errBroker) })
		}, 1},
		"panics, and is tried again": {func(context.Context, *occamytest.Delivery, func(error)) { panic(errBroker) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				m := f.requestAsync(c.ackAsync)
				<-m.Settled()
				f.wantFate(m, occamytest.Acked)
				if n := m.Calls(); n != c.calls {
					f.Errorf("%d calls, want %d", n, c.calls)
				}
				f.wantErrors(occamy.ErrNotSettled, 0)
				f.stillServes()
			})
		})
	}
}

func TestR08_TheSlotIsFreeBeforeAnAckIsAnswered(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		m := f.requestAsync(ackLater(time.Second))
		f.want("-")
		f.wantFate(m, occamytest.Unsettled)
		f.stillServes()
		<-m.Settled()
		f.wantFate(m, occamytest.Acked)
	})
}

func TestR08_AnAckThatIsNeverAnsweredIsRecorded(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		var late func(error)
		f.requestAsync(func(_ context.Context, _ *occamytest.Delivery, done func(error)) { late = done })
		after(29 * time.Second)
		f.wantErrors(occamy.ErrNotSettled, 0)
		after(2 * time.Second)
		f.wantErrors(occamy.ErrNotSettled, 1)
		late(nil)
		late(errBroker)
		f.wantErrors(occamy.ErrNotSettled, 1)
	})
}

// Whoever has the request next would lose it by an ack that comes so late.
func TestR07_WhatWasGivenUpIsNotSettledAfterAll(t *testing.T) {
	for name, request := range map[string]func(f *fixture) *occamytest.Delivery{
		"the answer to an ack was a failure": func(f *fixture) *occamytest.Delivery {
			return f.requestAsync(func(_ context.Context, _ *occamytest.Delivery, done func(error)) {
				time.AfterFunc(time.Minute, func() { done(errBroker) })
			})
		},
		"publishing the outcome took too long": func(f *fixture) *occamytest.Delivery {
			r := newTask("r")
			r.do = func(ctx context.Context) error { return occamy.SetResult(ctx, []byte("x")) }
			f.give(r)
			m := delivery("r")
			f.server.HandleRequest(slowOutcome{m})
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(f *fixture) {
				m := request(f)
				after(2 * time.Minute)
				f.wantErrors(occamy.ErrNotSettled, 1)
				f.wantFate(m, occamytest.Unsettled)
				if n := m.Calls(); n != 0 {
					f.Errorf("%d calls, want none", n)
				}
			})
		})
	}
}

// slowOutcome is a delivery whose broker does not heed the context with which
// an outcome is published.
type slowOutcome struct{ *occamytest.Delivery }

func (m slowOutcome) PublishOutcome(context.Context, occamy.Outcome) error {
	after(time.Minute)
	return nil
}

func TestR18_ShutdownWaitsForTheAnswerToAnAck(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		m := f.requestAsync(ackLater(3 * time.Second))
		f.want("-")
		begun := time.Now()
		if err := f.server.Shutdown(context.Background()); err != nil {
			f.Error(err)
		}
		if took := time.Since(begun); took != 3*time.Second {
			f.Errorf("Shutdown took %v; want 3s, until the answer", took)
		}
		f.wantFate(m, occamytest.Acked)
	})
}
