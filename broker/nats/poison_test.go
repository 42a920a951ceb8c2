package nats_test

import (
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// The waits of a request that crashes its servers are no attempts, and do not
// hide its crashes.
func TestWaitsBetweenCrashesAreNotCounted(t *testing.T) {
	s := startServer(t, embedded.Config{})
	cfg := nats.Config{URL: s.URL(), AckWait: 500 * time.Millisecond, MaxDeliver: 4}
	client := open(t, cfg)
	submit(t, client, "k", "poison")
	for attempt := 1; attempt <= 4; attempt++ {
		b := open(t, cfg)
		m := consume(t, b, 1, "k").next(t)
		if n := m.(occamy.Attempter).Attempt(); n != attempt {
			t.Errorf("attempt %d came as attempt %d", attempt, n)
		}
		b.Crash()
	}
	bystander := consume(t, client, 1, "k") // whoever comes now buries it
	eventually(t, "it is among the dead letters", func() bool {
		d, err := client.DeadLetter(within(t), "poison")
		return err == nil && d.Attempts == 4
	})
	if len(bystander.Requests()) > 0 {
		t.Error("it was tried once more")
	}
}
