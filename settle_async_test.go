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
