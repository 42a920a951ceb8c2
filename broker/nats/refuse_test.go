package nats_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

func TestRefusedCredentials(t *testing.T) {
	dir := t.TempDir()
	first := startServer(t, embedded.Config{Dir: dir, User: "u", Password: "old"})
	port := portOf(t, first)

	for name, cfg := range map[string]nats.Config{
		"none":  {},
		"wrong": {User: "u", Password: "wrong"},
		"token": {Token: "wrong"},
	} {
		cfg.URL = first.URL()
		_, err := nats.Open(within(t), cfg)
		wantIs(t, "Open with credentials: "+name, err, natsgo.ErrAuthorization)
	}

	b := open(t, nats.Config{URL: first.URL(), User: "u", Password: "old"})
	c := consume(t, b, 1, "k")
	submit(t, b, "k", "r1")
	ack(t, c.next(t))

	stopServer(t, first)
	startServer(t, embedded.Config{Dir: dir, Port: port, User: "u", Password: "new"})
	<-c.over
	wantIs(t, "Consume with credentials that no longer hold", c.err, natsgo.ErrAuthorization)
	_, err := b.Result(within(t), "r1")
	wantIs(t, "Result", err, natsgo.ErrAuthorization)
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestRefusedPermissionEndsConsume(t *testing.T) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
		Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.MSG.NEXT.>"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	b := open(t, nats.Config{URL: s.ClientURL(), User: "u", Password: "p"})
	c := consume(t, b, 1, "k")
	select {
	case <-c.over:
		wantIs(t, "Consume", c.err, natsgo.ErrPermissionViolation)
	case <-within(t).Done():
		t.Fatal("Consume goes on")
	}
}

func TestNamesTellNoSecret(t *testing.T) {
	for url, want := range map[string]string{
		"nats://user:secret@127.0.0.1:1":                    "nats://127.0.0.1:1",
		"secret@127.0.0.1:1":                                "nats://127.0.0.1:1",
		"tls://secret@127.0.0.1:1, nats://u:secret@[::1]:2": "tls://127.0.0.1:1,nats://[::1]:2",
		"": "nats://127.0.0.1:4222",
	} {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		b, err := nats.Open(ctx, nats.Config{URL: url, Background: true})
		if err != nil {
			t.Errorf("%q: %v", url, err)
			continue
		}
		if got := b.Name(); got != want {
			t.Errorf("the name of %q is %q, want %q", url, got, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	s := startServer(t, embedded.Config{})
	url := s.URL()
	stopServer(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := nats.Open(ctx, nats.Config{URL: strings.Replace(url, "nats://", "nats://u:secret@", 1)})
	wantIs(t, "Open", err, context.DeadlineExceeded)
	if err == nil || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v; want the reason, and no secret", err)
	}
}

func TestConfigsThatAreNoGood(t *testing.T) {
	_, err := nats.Open(within(t), nats.Config{
		Prefix: "a.b", AckWait: time.Millisecond, MaxDeliver: -1, Replicas: -1, OutcomeAge: -1, ProgressAge: -1,
	})
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, field := range []string{"prefix", "AckWait", "MaxDeliver", "Replicas", "OutcomeAge", "ProgressAge"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
	if _, err := nats.Open(within(t), nats.Config{NKeyFile: "no such file"}); err == nil {
		t.Error("a key file that is not there is taken")
	}
}

func TestCallsAfterClose(t *testing.T) {
	s := startServer(t, embedded.Config{})
	b := open(t, nats.Config{URL: s.URL()})
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := b.Watch(within(t), "r1")
	wantIs(t, "Watch", err, broker.ErrClosed)
	_, err = b.Queues(within(t))
	wantIs(t, "Queues", err, broker.ErrClosed)
	wantIs(t, "Control", b.Control(within(t), "r1", nil, nil), broker.ErrClosed)
}
