//go:build services

package rabbitmq_test

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// With the leader of a quorum queue may go what it was about to deliver: for the
// broker the requests are with a server that never gets them, and take its
// credit. They come once nothing has come for a while, and so does what waits
// behind them.
func TestWhatWasDeliveredAndNeverArrivedComesAgain(t *testing.T) {
	for _, queues := range []rabbitmq.QueueType{rabbitmq.Quorum, rabbitmq.Classic} {
		t.Run(string(queues), func(t *testing.T) {
			url := nodeURL(t)
			var lose thief
			b := open(t, rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues, Dial: lose.dial})
			b.HurryRenewals(300*time.Millisecond, 10*time.Second)
			a := consume(t, b, 2, "k")
			submit(t, b, "k", "r0")
			ack(t, a.next(t))

			lose.next.Store(2) // all credit
			submit(t, b, "k", "r1", "r2", "r3")
			var came []string
			for range 3 {
				m := a.next(t)
				came = append(came, idOf(m))
				ack(t, m)
			}
			if slices.Sort(came); !slices.Equal(came, []string{"r1", "r2", "r3"}) {
				t.Errorf("%v came; want each of three", came)
			}
			if left := lose.next.Load(); left != 0 {
				t.Errorf("%d deliveries fewer were lost than were to be", left)
			}
			a.quiet(t, 100*time.Millisecond)
		})
	}
}

// A channel with a request out stays, whatever time that takes.
func TestALongTaskKeepsItsDelivery(t *testing.T) {
	url := nodeURL(t)
	b := open(t, rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)})
	b.HurryRenewals(20*time.Millisecond, 40*time.Millisecond)
	a := consume(t, b, 2, "k")
	submit(t, b, "k", "long")
	long := a.next(t)
	gone := lost(long)
	for _, id := range ids("short", 10) {
		time.Sleep(50 * time.Millisecond) // meanwhile there was reason to renew
		submit(t, b, "k", id)
		m := a.next(t)
		if idOf(m) != id || attemptOf(m) != 1 {
			t.Fatalf("%s came, attempt %d; want %s, 1", idOf(m), attemptOf(m), id)
		}
		ack(t, m)
	}
	select {
	case <-gone:
		t.Fatal("the delivery of the long task is lost")
	default:
	}
	ack(t, long)
	for _, id := range ids("after", 10) { // with renewals between them
		time.Sleep(50 * time.Millisecond)
		submit(t, b, "k", id)
		m := a.next(t)
		if idOf(m) != id { // one that came just then may say that it is its second attempt
			t.Fatalf("%s came; want %s", idOf(m), id)
		}
		ack(t, m)
	}
	a.quiet(t, 100*time.Millisecond)
}

// thief takes deliveries out of what the broker sends: a frame with the method,
// one with the properties, and those of the body, up to the next method on that
// channel.
type thief struct {
	next atomic.Int64 // how many of those that come
}

func (f *thief) dial(ctx context.Context, network, address string) (net.Conn, error) {
	taking := make(map[uint16]bool) // by channel
	return dialFrames(ctx, network, address, func(kind byte, channel uint16, payload []byte) (pass bool) {
		if kind == methodFrame {
			taking[channel] = binary.BigEndian.Uint32(payload) == basicDeliver && f.next.Load() > 0
			if taking[channel] {
				f.next.Add(-1)
			}
		}
		return !taking[channel]
	})
}
