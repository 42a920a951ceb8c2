package cluster

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/nats"
)

// consuming is a call of Consume.
type consuming struct{ *brokertest.Intake }

func consume(t *testing.T, b *nats.Broker, slots int, kinds ...string) *consuming {
	t.Helper()
	in := brokertest.NewIntake("a", slots, occamy.HeaderKeys{}, kinds...)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- b.Consume(ctx, in) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Errorf("Consume: %v", err)
		}
	})
	return &consuming{in}
}

func (c *consuming) next(t *testing.T) occamy.Message {
	t.Helper()
	select {
	case m := <-c.Requests():
		return m
	case <-time.After(patience):
		t.Fatal("no request came")
	}
	return nil
}

func wantAdvice(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v; want an error that says %q", err, part)
		}
	}
}
