package nats_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

func TestARestartOfTheServerLosesNothing(t *testing.T) {
	dir := t.TempDir()
	first := startServer(t, embedded.Config{Dir: dir})
	port := portOf(t, first)
	b := open(t, nats.Config{URL: first.URL()})
	c := consume(t, b, 2, "k")
	submit(t, b, "k", "held", "r1")
	held, other := c.next(t), c.next(t)
	if idOf(held) != "held" {
		held, other = other, held
	}
	ack(t, other)
	progress := held.(occamy.ProgressKeeper)
	if err := progress.PublishProgress(within(t), []byte("half")); err != nil {
		t.Fatal(err)
	}
	submit(t, b, "k", "waits")

	stopServer(t, first)
	eventually(t, "the client sees that", func() bool { return !b.Conn().IsConnected() })
	startServer(t, embedded.Config{Dir: dir, Port: port})

	// What was held is still ours; what waited comes once there is room.
	if got, err := progress.LastProgress(within(t)); err != nil || string(got) != "half" {
		t.Errorf("the progress is %q, %v", got, err)
	}
	ack(t, held)
	c.Free(2)
	m := c.next(t)
	if idOf(m) != "waits" {
		t.Errorf("got %q, want the one that waited", idOf(m))
	}
	ack(t, m)
	submit(t, b, "k", "new")
	ack(t, c.next(t))
	if err := c.stop(); err != nil {
		t.Errorf("Consume: %v", err)
	}
	if s := c.Surplus(); len(s) > 0 {
		t.Error(s)
	}
}

func TestALostStoreIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	first := startServer(t, embedded.Config{Dir: dir})
	port := portOf(t, first)
	b := open(t, nats.Config{URL: first.URL(), AckWait: 3 * time.Second})
	c := consume(t, b, 4, "k")
	submit(t, b, "k", "old")
	old := c.next(t)

	stopServer(t, first)
	if err := os.RemoveAll(filepath.Join(dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	second := startServer(t, embedded.Config{Dir: dir, Port: port})

	// The new message has the sequence number of the old one, whose ack must
	// not remove it.
	submit(t, b, "k", "new")
	m := c.next(t)
	if idOf(m) != "new" {
		t.Fatalf("got %q, want the new request", idOf(m))
	}
	wantIs(t, "the ack of a delivery that is lost", old.Ack(within(t)), occamy.ErrDeliveryLost)
	if n := messages(t, second); n != 1 {
		t.Errorf("the stream has %d messages, want the new one", n)
	}
	if err := m.(occamy.Leased).KeepAlive(within(t)); err == nil {
		ack(t, m)
	}
}

func messages(t testing.TB, s *embedded.Server) uint64 {
	t.Helper()
	js, err := jetstream.New(bare(t, s))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(within(t), "OCCAMY_REQUESTS")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func TestConsumersThatAreRemovedAreMadeAnew(t *testing.T) {
	s := startServer(t, embedded.Config{})
	b := open(t, nats.Config{URL: s.URL()})
	c := consume(t, b, 4, "j", "k")
	submit(t, b, "k", "before")
	ack(t, c.next(t))

	js, err := jetstream.New(bare(t, s))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(within(t), "OCCAMY_REQUESTS")
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(within(t)).Name() {
		if err := stream.DeleteConsumer(within(t), name); err != nil {
			t.Fatal(err)
		}
	}
	submit(t, b, "k", "after")
	m := c.next(t)
	if idOf(m) != "after" {
		t.Errorf("got %q", idOf(m))
	}
	ack(t, m)

	if err := js.DeleteStream(within(t), "OCCAMY_REQUESTS"); err != nil {
		t.Fatal(err)
	}
	submit(t, b, "j", "afterwards")
	ack(t, c.next(t))
}

func TestOpenWaitsForAServer(t *testing.T) {
	dir := t.TempDir()
	first := startServer(t, embedded.Config{Dir: dir})
	url, port := first.URL(), portOf(t, first)
	stopServer(t, first)

	opened := make(chan error, 1)
	go func() {
		b, err := nats.Open(within(t), nats.Config{URL: url})
		if err == nil {
			err = b.Close()
		}
		opened <- err
	}()
	b := open(t, nats.Config{URL: url, Background: true}) // comes back at once
	tried := make(chan struct{}, 1)
	third, err := natsgo.Connect(url, natsgo.RetryOnFailedConnect(true), natsgo.ReconnectErrHandler(func(*natsgo.Conn, error) {
		select {
		case tried <- struct{}{}:
		default:
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	<-tried // so long there is surely nobody

	startServer(t, embedded.Config{Dir: dir, Port: port})
	if err := <-opened; err != nil {
		t.Errorf("Open: %v", err)
	}
	submit(t, b, "k", "r1")
}
