//go:build services

package rabbitmq_test

import (
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

var queueTypes = []rabbitmq.QueueType{rabbitmq.Quorum, rabbitmq.Classic}

// Fact: a delivery tag belongs to its channel: after a reconnect an old tag can
// ack somebody else's delivery.
func TestALateAckDoesNotHitAnotherDelivery(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url, c := nodeURL(t), newCable()
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			client := open(t, cfg)
			cfg.Dial = c.dial
			server := open(t, cfg)
			a := consume(t, server, 1, "k")
			if queues == rabbitmq.Classic {
				// There the lost delivery comes as a copy, the second in its channel.
				submit(t, client, "k", "r0")
				ack(t, a.next(t))
			}
			submit(t, client, "k", "r1")
			late := a.next(t)
			gone := lost(late)
			c.cut()
			await(t, "word that the delivery is lost", gone)
			wantLost(t, late)
			c.heal()
			now := a.next(t)
			if rabbitmq.Tag(now) != rabbitmq.Tag(late) || attemptOf(now) != 2 {
				t.Fatalf("delivery %d, attempt %d; want the tag of the lost one, %d, and attempt 2", rabbitmq.Tag(now), attemptOf(now), rabbitmq.Tag(late))
			}
			wantLost(t, late)
			// Had the late settlement hit it, the broker would close the channel now.
			gone = lost(now)
			ack(t, now)
			submit(t, client, "k", "r2")
			ack(t, a.next(t))
			select {
			case <-gone:
				t.Error("an acked delivery was lost")
			default:
			}
		})
	}
}

// RabbitMQ loses acks to a quorum queue when their channel is closed at once,
// as a bare client finds.
func TestWhatWasAckedStaysSoWhenTheConnectionIsClosed(t *testing.T) {
	const n = 2000
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	client := open(t, cfg)
	submitMany(t, client, "k", n)
	server := open(t, cfg)
	a := consume(t, server, n, "k")
	got := make([]occamy.Message, n)
	for i := range got {
		got[i] = a.next(t)
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	for i := range got {
		if err := got[n-1-i].Ack(ctx); err != nil { // the last first, so that each is an ack of its own
			t.Fatal(err)
		}
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	consume(t, client, n, "k").quiet(t, 500*time.Millisecond)
}
