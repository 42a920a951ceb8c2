package nats

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
)

func TestALeaseEndsBeforeNATSEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ackWait = 30 * time.Second
		l := newLease(ackWait, time.Now())
		<-time.After(26 * time.Second)
		if err := l.lost(); err != nil {
			t.Errorf("after 26 s of 30 s: %v", err)
		}
		sent := time.Now().Add(-time.Second) // a keep-alive, and its answer a second later
		l.renew(sent)
		l.renew(sent.Add(-time.Hour)) // an older one does no harm
		<-time.After(25 * time.Second)
		if err := l.lost(); err != nil {
			t.Errorf("26 s after the keep-alive was sent: %v", err)
		}
		<-time.After(2 * time.Second)
		if err := l.lost(); !errors.Is(err, occamy.ErrDeliveryLost) {
			t.Errorf("28 s after the keep-alive was sent: %v", err)
		}
		err := l.hold(t.Context(), func(context.Context) error {
			t.Error("something was done with a delivery that is lost")
			return nil
		})
		if !errors.Is(err, occamy.ErrDeliveryLost) {
			t.Errorf("hold: %v", err)
		}
	})
}

func TestWhatIsDoneWithADeliveryEndsWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLease(10*time.Second, time.Now())
		err := l.hold(t.Context(), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, occamy.ErrDeliveryLost) {
			t.Errorf("got %v", err)
		}
	})
}

func TestALeaseBeginsWhenTheMessageWasStored(t *testing.T) {
	now, wait := time.Now(), 20*time.Second
	for _, c := range []struct {
		name                string
		stored, proof, want time.Duration // before now; a negative proof: none
	}{
		{"a fresh message that lay in a buffer", 3 * time.Second, -1, 3 * time.Second},
		{"one that waited in its queue", time.Hour, -1, 0},
		{"a clock that goes before ours", -time.Second, -1, 0},
		{"a fresh one, after a sign of life", 3 * time.Second, 4 * time.Second, 3 * time.Second},
		{"a fresh one, with a newer sign of life", 3 * time.Second, time.Second, time.Second},
		{"one that waited in its queue, or on its way to us", time.Hour, 4 * time.Second, 4 * time.Second},
		{"one that may have lain in a buffer for longer than its lease", 30 * time.Second, 40 * time.Second, 40 * time.Second},
	} {
		var proof time.Time
		if c.proof >= 0 {
			proof = now.Add(-c.proof)
		}
		if got := now.Sub(deliveredAt(now, proof, now.Add(-c.stored), wait)); got != c.want {
			t.Errorf("%s: the lease began %v ago, want %v", c.name, got, c.want)
		}
	}
}
