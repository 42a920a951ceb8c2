package nats_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// A server with many slots may have far more bytes delivered together than NATS
// lets wait for a connection before it cuts it: each of the requests would then
// count as lost, and with it run again, until all of them are dead letters.
func TestLargeRequestsForManySlotsDoNotBreakTheConnection(t *testing.T) {
	const requests, size = 40, 7 << 20
	ns := startServer(t, embedded.Config{RelaxSync: true})
	client := open(t, nats.Config{URL: ns.URL()})
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for i := range requests {
		if err := client.Submit(ctx, broker.Request{Kind: "k", ID: fmt.Sprint(i), Body: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	server := open(t, nats.Config{URL: ns.URL()})
	in := brokertest.NewIntake("server", requests, occamy.HeaderKeys{}.WithDefaults(), "k")
	ended := make(chan error, 1)
	consuming, stop := context.WithCancel(ctx)
	go func() { ended <- server.Consume(consuming, in) }()
	for range requests {
		select {
		case m := <-in.Requests():
			if n := m.(occamy.Attempter).Attempt(); n != 1 || len(m.Body()) != size {
				t.Errorf("attempt %d of a request of %d bytes", n, len(m.Body()))
			}
			if err := m.Ack(ctx); err != nil {
				t.Error(err)
			}
		case <-ctx.Done():
			t.Fatal("not all requests come")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A request that was kept while larger ones were allowed is delivered, although
// a pull brings less by now.
func TestARequestThatIsLargerThanAPullBringsIsDelivered(t *testing.T) {
	dir, size := t.TempDir(), 24<<20
	ns := startServer(t, embedded.Config{Dir: dir, RelaxSync: true, MaxPayload: 32 << 20})
	client := open(t, nats.Config{URL: ns.URL()})
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	const requests = 50
	for i := range requests {
		n := 1
		if i%20 == 10 {
			n = size
		}
		if err := client.Submit(ctx, broker.Request{Kind: "k", ID: fmt.Sprint(i), Body: make([]byte, n)}); err != nil {
			t.Fatal(err)
		}
	}
	stopServer(t, ns)
	ns = startServer(t, embedded.Config{Dir: dir, RelaxSync: true, MaxPayload: 1 << 20})
	server := open(t, nats.Config{URL: ns.URL()})
	c := consume(t, server, 64, "k", "l")
	for range requests {
		ack(t, c.next(t))
	}
	if n := server.Conn().Stats().OutMsgs; n > 4*requests {
		t.Errorf("it sent %d messages for %d requests", n, requests)
	}
}
