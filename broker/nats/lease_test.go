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

func TestALeaseBeginsWhenItWasAskedForOrStored(t *testing.T) {
	now, wait := time.Now(), 20*time.Second
	for _, c := range []struct {
		name                string
		asked, stored, want time.Duration // before now
	}{
		{"a fresh message that lay in a buffer", 4 * time.Second, 3 * time.Second, 3 * time.Second},
		{"one that waited in its queue", 2 * time.Second, time.Hour, 2 * time.Second},
		{"one that waited until it was asked for", 2 * time.Second, 3 * time.Second, 2 * time.Second},
		{"a clock that goes before ours", 2 * time.Second, -time.Second, 2 * time.Second},
	} {
		if got := now.Sub(leaseBegan(now.Add(-c.asked), now, now.Add(-c.stored), wait)); got != c.want {
			t.Errorf("%s: the lease began %v ago, want %v", c.name, got, c.want)
		}
	}
}
