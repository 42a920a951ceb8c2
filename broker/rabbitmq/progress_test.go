//go:build services

package rabbitmq_test

import (
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// Whoever watches gets progress too, so that somebody took it does not mean that
// it is kept: the queue of an earlier request with the ID may be gone by now.
func TestProgressIsKeptWhereASecondRequestHasTheIDOfOneThatWasLost(t *testing.T) {
	url, c := nodeURL(t), newCable()
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	other := open(t, cfg)
	cfg.Dial = c.dial
	server := open(t, cfg)
	progress := func(m occamy.Message, text string) {
		t.Helper()
		if err := m.(occamy.ProgressKeeper).PublishProgress(within(t), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	a := consume(t, server, 1, "k")
	submit(t, other, "k", "r1")
	m := a.next(t)
	progress(m, "of the first")
	gone := lost(m)
	c.cut()
	await(t, "word that the delivery is lost", gone)
	o := consume(t, other, 1, "k")
	ack(t, o.next(t))
	if err := o.stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the progress is removed", func() bool {
		p, err := other.LastProgress(within(t), "r1")
		return err == nil && p == nil
	})
	c.heal()

	ctx := within(t)
	events, err := other.Watch(ctx, "r1")
	if err != nil {
		t.Fatal(err)
	}
	submit(t, other, "k", "r1")
	m = a.next(t)
	progress(m, "of the second")
	eventually(t, "the watcher gets it", func() bool {
		select {
		case e := <-events:
			return string(e.Progress) == "of the second"
		case <-time.After(time.Millisecond):
			return false
		}
	})
	if p, err := other.LastProgress(ctx, "r1"); err != nil || string(p) != "of the second" {
		t.Errorf("kept is %q, %v", p, err)
	}
	ack(t, m)
}
