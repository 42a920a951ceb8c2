package occamytest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/occamytest"
)

var errAway = errors.New("the broker is away")

func TestMessage_RecordsHowItWasSettled(t *testing.T) {
	ctx := context.Background()
	for name, tt := range map[string]struct {
		settle func(d *occamytest.Delivery) error
		want   occamytest.Settlement
	}{
		"ack":     {func(d *occamytest.Delivery) error { return d.Ack(ctx) }, occamytest.Settlement{Fate: occamytest.Acked}},
		"reject":  {func(d *occamytest.Delivery) error { return d.Reject(ctx, false) }, occamytest.Settlement{Fate: occamytest.Rejected}},
		"requeue": {func(d *occamytest.Delivery) error { return d.Reject(ctx, true) }, occamytest.Settlement{Fate: occamytest.Requeued}},
		"reason":  {func(d *occamytest.Delivery) error { return d.RejectFor(ctx, "why") }, occamytest.Settlement{Fate: occamytest.Rejected, Reason: "why"}},
		"delay":   {func(d *occamytest.Delivery) error { return d.RequeueAfter(ctx, time.Second) }, occamytest.Settlement{Fate: occamytest.Requeued, Delay: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			d := occamytest.NewDelivery(occamy.Headers{"k": "v"}, []byte("body"))
			select {
			case <-d.Settled():
				t.Fatal("settled already")
			default:
			}
			if d.Settlement().Fate != occamytest.Unsettled || d.Headers()["k"] != "v" || string(d.Body()) != "body" {
				t.Errorf("new message %v, %v", d.Settlement(), d.Headers())
			}
			if err := tt.settle(d); err != nil {
				t.Fatal(err)
			}
			<-d.Settled()
			got := d.Settlement()
			if got.Time.IsZero() {
				t.Error("no time")
			}
			if got.Time = (time.Time{}); got != tt.want {
				t.Errorf("settled %+v, want %+v", got, tt.want)
			}
			if err := d.Ack(ctx); err != nil || len(d.Settlements()) != 2 || d.Calls() != 2 {
				t.Errorf("a second settling is not recorded: %v, %v", err, d.Settlements())
			}
		})
	}
}

func TestMessage_FailsAsItIsTold(t *testing.T) {
	m := occamytest.NewMessage(nil, nil)
	m.OnSettle = func(_ context.Context, s occamytest.Settlement, n int) error {
		if s.Fate != occamytest.Acked {
			t.Errorf("told of %+v", s)
		}
		if n < 3 {
			return errAway
		}
		return nil
	}
	for n, want := range []error{errAway, errAway, nil} {
		if err := m.Ack(context.Background()); !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", n+1, err, want)
		}
	}
	if len(m.Settlements()) != 1 || m.Calls() != 3 {
		t.Errorf("settled %v in %d calls", m.Settlements(), m.Calls())
	}
}

func TestDelivery_Lost(t *testing.T) {
	d := occamytest.NewDelivery(nil, nil)
	told := 0
	d.NotifyLost(func() { told++ })
	d.Lose()
	d.Lose()
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	d.NotifyLost(func() { told++ })
	if told != 2 {
		t.Error("not told of a loss that has been")
	}

	settled := occamytest.NewDelivery(nil, nil)
	settled.NotifyLost(func() { t.Error("lost after it was settled") })
	if err := settled.Ack(context.Background()); err != nil {
		t.Fatal(err)
	}
	settled.Lose()
}

func TestDelivery_RedeliveryHasTheProgress(t *testing.T) {
	ctx := context.Background()
	d := occamytest.NewDelivery(occamytest.RequestHeaders("k", "r"), []byte("body"))
	d.Wait = time.Minute
	if last, err := d.LastProgress(ctx); last != nil || err != nil {
		t.Errorf("progress %q, %v of a new one", last, err)
	}
	for _, p := range []string{"a", "b"} {
		if err := d.PublishProgress(ctx, []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	next := d.Redeliver()
	last, err := next.LastProgress(ctx)
	if string(last) != "b" || err != nil || next.Attempt() != 2 || next.AckWait() != time.Minute || string(next.Body()) != "body" {
		t.Errorf("attempt %d, progress %q, %v", next.Attempt(), last, err)
	}
	if len(next.Progress()) != 0 || len(d.Progress()) != 2 {
		t.Errorf("published %q and %q", d.Progress(), next.Progress())
	}
}

func TestMonitor_Waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m occamytest.Monitor
		go func() {
			<-time.After(time.Second)
			m.RecordError(errors.New("another"))
			<-time.After(time.Second)
			m.RecordSlot(occamy.SlotChange{Slot: 3})
			m.RecordError(&occamy.TaskError{Err: errAway})
			m.RecordLatency(occamy.Latency{Stage: occamy.StageRun})
		}()
		begun := time.Now()
		if err := m.WaitError(t.Context(), errAway); !errors.Is(err, errAway) || time.Since(begun) != 2*time.Second {
			t.Errorf("waited %v for %v", time.Since(begun), err)
		}
		if !m.WaitChange(t.Context(), func(c occamy.SlotChange) bool { return c.Slot == 3 }) {
			t.Error("no change")
		}
		synctest.Wait()
		if len(m.Errors()) != 2 || len(m.Matching(errAway)) != 1 || len(m.Changes()) != 1 || len(m.Latencies()) != 1 {
			t.Errorf("recorded %v, %v, %v", m.Errors(), m.Changes(), m.Latencies())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.WaitError(ctx, occamy.ErrStuck); err != nil {
			t.Errorf("found %v", err)
		}
		if m.WaitChange(ctx, func(c occamy.SlotChange) bool { return c.Slot == 9 }) {
			t.Error("found a change that was not")
		}
	})
}
