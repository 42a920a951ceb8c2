package nats

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

func TestReconnectWaits(t *testing.T) {
	for _, c := range []struct{ down, least, most time.Duration }{
		{0, 25 * time.Millisecond, 50 * time.Millisecond},
		{400 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond},
		{time.Second, 62500 * time.Microsecond, 125 * time.Millisecond},
		{10 * time.Second, 625 * time.Millisecond, 1250 * time.Millisecond},
		{time.Minute, 3750 * time.Millisecond, 7500 * time.Millisecond},
		{2 * time.Minute, 5 * time.Second, 10 * time.Second},
		{24 * 365 * time.Hour, 5 * time.Second, 10 * time.Second},
	} {
		if got := reconnectWait(c.down, 1); got != c.least {
			t.Errorf("after %v the least wait is %v, want %v", c.down, got, c.least)
		}
		if got := reconnectWait(c.down, 0); got != c.most {
			t.Errorf("after %v the longest wait is %v, want %v", c.down, got, c.most)
		}
	}
}

// However long NATS was away, the next try comes soon after it is back.
func TestAnOutageCostsLittleAfterwards(t *testing.T) {
	for _, away := range []time.Duration{time.Second, 10 * time.Second, time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var o outage
			for range 20 { // each outage begins anew
				back := time.Now().Add(away)
				tries := 0
				for time.Now().Before(back) {
					tries++
					<-time.After(o.wait(tries))
				}
				if late := time.Since(back); late > min(away/8+50*time.Millisecond, mostWait) {
					t.Errorf("after an outage of %v the next try came %v late", away, late)
				}
			}
		})
	}
}

// The package comment states the bound within which a silent peer is given up.
func TestASilentPeerIsGivenUpInTime(t *testing.T) {
	cfg, _, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	o, err := cfg.connection()
	if err != nil {
		t.Fatal(err)
	}
	idle := o.PingInterval * time.Duration(o.MaxPingsOut+1)
	if idle > 12*time.Second || idle+2*o.FlusherTimeout > 20*time.Second || !o.ReconnectOnFlusherError {
		t.Errorf("it takes %v when idle, and %v more when it cannot be written to", idle, o.FlusherTimeout)
	}
}

// Who tells people of errors knows what NATS said: that there is no connection is
// told elsewhere.
func TestWhyNothingWasSent(t *testing.T) {
	b := &Broker{link: newLink()}
	for _, said := range []error{natsgo.ErrReconnectBufExceeded, natsgo.ErrConnectionReconnecting} {
		if err := b.publishError(said); !errors.Is(err, errDown) || !errors.Is(err, said) {
			t.Errorf("%v is told as %v", said, err)
		}
	}
}
