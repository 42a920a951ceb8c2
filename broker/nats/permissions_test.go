package nats_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/internal/natsd"
)

// What the package comment lists.
var (
	serverPublishes = []string{
		"occamy.request.*", "occamy.dead.*.*", "occamy.outcome.*", "$KV.OCCAMY_PROGRESS.*",
		"$JS.ACK.OCCAMY_REQUESTS.>",
		"$JS.API.CONSUMER.MSG.NEXT.OCCAMY_REQUESTS.*",
		"$JS.API.CONSUMER.INFO.OCCAMY_REQUESTS.*",
		"$JS.API.CONSUMER.LIST.OCCAMY_REQUESTS",
		"$JS.API.STREAM.INFO.OCCAMY_REQUESTS", "$JS.API.STREAM.INFO.OCCAMY_DEAD",
		"$JS.API.STREAM.INFO.OCCAMY_OUTCOMES", "$JS.API.STREAM.INFO.KV_OCCAMY_PROGRESS",
		"$JS.API.STREAM.MSG.GET.KV_OCCAMY_PROGRESS",
		"$JS.API.STREAM.PURGE.KV_OCCAMY_PROGRESS",
	}
	serverSubscribes = []string{"occamy.control.*", "occamy.optional.*", "occamy.command", "occamy.servers"}
	assistPublishes  = []string{"occamy.optional.*", "occamy.control.*", "$JS.API.STREAM.MSG.GET.OCCAMY_OUTCOMES", "occamy.servers"}
	serverCreates    = []string{
		"$JS.API.STREAM.CREATE.OCCAMY_REQUESTS", "$JS.API.STREAM.CREATE.OCCAMY_DEAD",
		"$JS.API.STREAM.CREATE.OCCAMY_OUTCOMES", "$JS.API.STREAM.CREATE.KV_OCCAMY_PROGRESS",
		"$JS.API.CONSUMER.CREATE.OCCAMY_REQUESTS.>",
	}
	clientPublishes = []string{
		"occamy.request.*", "occamy.optional.*", "occamy.control.*", "occamy.command", "occamy.servers",
		"$JS.API.STREAM.INFO.OCCAMY_REQUESTS",
		"$JS.API.STREAM.MSG.GET.OCCAMY_OUTCOMES", "$JS.API.STREAM.MSG.GET.KV_OCCAMY_PROGRESS",
		"$JS.API.STREAM.INFO.OCCAMY_DEAD", "$JS.API.CONSUMER.LIST.OCCAMY_REQUESTS",
		"$JS.API.STREAM.MSG.GET.OCCAMY_DEAD",
		"$JS.API.STREAM.MSG.DELETE.OCCAMY_DEAD", "$JS.API.STREAM.PURGE.OCCAMY_OUTCOMES",
	}
	clientSubscribes = []string{"occamy.outcome.*", "$KV.OCCAMY_PROGRESS.*"}

	// Of a server that announces itself, and of whoever watches the fleet.
	announces, hearsWatchers = []string{"occamy.feed.state"}, []string{"occamy.feed.watch"}
	watches, hearsServers    = []string{"occamy.feed.watch"}, []string{"occamy.feed.state"}
)

func TestThePackageCommentListsThePermissions(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{serverPublishes, serverSubscribes, assistPublishes, serverCreates, clientPublishes, clientSubscribes, announces, watches} {
		for _, subject := range list {
			stem := subject[:strings.LastIndexByte(subject, '.')+1] // "the same of" others stands for the rest
			if !strings.Contains(string(text), stem) || !strings.Contains(string(text), subject[len(stem):]) {
				t.Errorf("it does not have %s", subject)
			}
		}
	}
}

// accounts is a NATS server with a user of all rights, and a server's and a
// client's with those that they need.
func accounts(t *testing.T, serverAlso ...string) *server.Server {
	t.Helper()
	user := func(name string, publish, subscribe []string, responses bool) *server.User {
		p := &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: publish},
			Subscribe: &server.SubjectPermission{Allow: append([]string{"_INBOX_" + name + ".>"}, subscribe...)},
		}
		if responses {
			p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
		}
		return &server.User{Username: name, Password: "p", Permissions: p}
	}
	return natsd.Start(t, &server.Options{StoreDir: t.TempDir(), Users: []*server.User{
		{Username: "all", Password: "p"},
		user("server", slices.Concat(serverAlso, serverPublishes, announces), slices.Concat(serverSubscribes, hearsWatchers), true),
		user("client", slices.Concat(clientPublishes, watches), slices.Concat(clientSubscribes, hearsServers), false),
	}})
}

func openAs(t *testing.T, s *server.Server, user string, cfg nats.Config) *nats.Broker {
	t.Helper()
	cfg.URL, cfg.User, cfg.Password, cfg.InboxPrefix = s.ClientURL(), user, "p", "_INBOX_"+user
	cfg.OnError = func(err error) { t.Errorf("%s, in the background: %v", user, err) }
	b, err := nats.Open(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestLeastPermissions(t *testing.T) {
	t.Run("that create", func(t *testing.T) {
		s := accounts(t, serverCreates...)
		allThatIsDone(t, openAs(t, s, "server", nats.Config{}), openAs(t, s, "client", nats.Config{NoCreate: true}))
	})
	t.Run("that create nothing", func(t *testing.T) {
		s := accounts(t)
		all := openAs(t, s, "all", nats.Config{})
		if err := consume(t, all, 1, "k").stop(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "an account with all rights has created what is needed", func() bool {
			c := consume(t, all, 1, "k")
			submit(t, all, "k", "first")
			ack(t, c.next(t))
			return c.stop() == nil
		})
		allThatIsDone(t, openAs(t, s, "server", nats.Config{NoCreate: true}), openAs(t, s, "client", nats.Config{NoCreate: true}))
	})
}

// allThatIsDone does each thing once that a server and a client ever do.
func allThatIsDone(t *testing.T, s, client *nats.Broker) {
	t.Helper()
	c := consume(t, s, 4, "k")
	eventually(t, "the server is seen", func() bool {
		all, err := client.Servers(within(t), 100*time.Millisecond)
		return err == nil && len(all) == 1
	})
	eventually(t, "a request is taken", func() bool {
		err := client.Submit(within(t), requestOf("k", "r1", 1))
		if errors.Is(err, nats.ErrMissing) { // the server has not yet created it
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	events, err := client.Watch(within(t), "r1")
	if err != nil {
		t.Fatal(err)
	}
	m := c.next(t)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	must("Requeue", m.Reject(within(t), true))
	c.Free(1)
	m = c.next(t)
	must("KeepAlive", m.(occamy.Leased).KeepAlive(within(t)))
	must("PublishProgress", m.(occamy.ProgressKeeper).PublishProgress(within(t), []byte("half")))
	if e := <-events; string(e.Progress) != "half" {
		t.Errorf("the first event is %+v, want the progress", e)
	}
	progress, err := m.(occamy.ProgressKeeper).LastProgress(within(t))
	if err != nil || string(progress) != "half" {
		t.Errorf("the last progress is %q, %v", progress, err)
	}
	must("Reject", m.(occamy.ReasonedRejecter).RejectFor(within(t), "why"))
	_, err = client.DeadLetter(within(t), "r1")
	must("DeadLetter", err)
	must("Retry", client.Retry(within(t), "r1"))
	c.Free(1)
	m = c.next(t)
	must("PublishOutcome", m.(occamy.OutcomePublisher).PublishOutcome(within(t), occamy.Outcome{ID: "r1", Status: occamy.Completed}))
	must("Ack", m.Ack(within(t)))
	for e := range events {
		if e.Outcome != nil && e.Outcome.Status != occamy.Completed {
			t.Errorf("the outcome is %+v", e.Outcome)
		}
	}
	_, err = client.Result(within(t), "r1")
	must("Result", err)
	_, err = client.Queues(within(t))
	must("Queues", err)

	c.Place("t1")
	must("Command", client.Command(within(t), occamy.Headers{"Occamy-Command": "resume"}))
	must("Optional", client.Optional(within(t), broker.Request{Kind: "k", ID: "o1"}))
	for range 2 {
		<-c.Controls()
	}
	told := make(chan string, 2)
	heard := func(body []byte) { told <- string(body) }
	must("Listen for watchers", s.Listen(t.Context(), "watch", heard))
	must("Listen for servers", client.Listen(t.Context(), "state", heard))
	must("watch", client.Announce(within(t), "watch", []byte("who is there?")))
	must("announce", s.Announce(within(t), "state", []byte("I am")))
	for range 2 {
		select {
		case <-told:
		case <-within(t).Done():
			t.Fatal("what is announced is not heard")
		}
	}
	eventually(t, "a control message is taken", func() bool { return client.Control(within(t), "t1", nil, []byte("hi")) == nil })
	// A user's message that bears a header of the adapter's is a message all the same.
	must("Control", client.Control(within(t), "t1", occamy.Headers{"Occamy-Jetstream-Presence": "?"}, nil))
	for m := <-c.Controls(); m.Headers()["Occamy-Jetstream-Presence"] != "?"; {
		select {
		case m = <-c.Controls():
		case <-within(t).Done():
			t.Fatal("the message was taken for a question")
		}
	}
	must("stop", c.stop())
}

// Without the right to create, the error says what to do, and at once.
func TestARightThatIsMissing(t *testing.T) {
	s := accounts(t)
	b := open(t, nats.Config{URL: s.ClientURL(), User: "client", Password: "p", InboxPrefix: "_INBOX_client"})
	err := b.Submit(within(t), requestOf("k", "r1", 1))
	wantIs(t, "Submit", err, natsgo.ErrPermissionViolation)
	for _, part := range []string{"STREAM.CREATE.OCCAMY_REQUESTS", "set NoCreate"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v; want an error that says %s", err, part)
		}
	}
	c := consume(t, open(t, nats.Config{URL: s.ClientURL(), User: "server", Password: "p", InboxPrefix: "_INBOX_server"}), 1, "k")
	<-c.over
	wantIs(t, "Consume", c.err, natsgo.ErrPermissionViolation)

	// Answers that may not be read are not waited for either.
	b = open(t, nats.Config{URL: s.ClientURL(), User: "client", Password: "p"})
	wantIs(t, "Submit, with another's inbox", b.Submit(within(t), requestOf("k", "r1", 1)), natsgo.ErrPermissionViolation)
}

// What a server may not publish costs it that message, not its requests: it hears
// on the same subjects on which its own tasks ask for help.
func TestWhatAServerMayNotPublishDoesNotEndIt(t *testing.T) {
	s := accounts(t, serverCreates...)
	refused := make(chan error, 8)
	b, err := nats.Open(within(t), nats.Config{
		URL: s.ClientURL(), User: "server", Password: "p", InboxPrefix: "_INBOX_server",
		OnError: func(err error) {
			select {
			case refused <- err:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	c := consume(t, b, 1, "k")
	client := openAs(t, s, "client", nats.Config{NoCreate: true})
	eventually(t, "a request is kept", func() bool { return client.Submit(within(t), requestOf("k", "r1", 1)) == nil })
	m := c.next(t)
	_ = b.Optional(within(t), broker.Request{Kind: "k", ID: "o1"})
	select {
	case err := <-refused:
		wantIs(t, "OnError", err, natsgo.ErrPermissionViolation)
	case <-within(t).Done():
		t.Fatal("nobody is told")
	}
	ack(t, m)
	c.Free(1)
	if err := client.Submit(within(t), requestOf("k", "r2", 1)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.over:
		t.Fatalf("Consume ended: %v", c.err)
	default:
	}
	ack(t, c.next(t))
}

// The operator's streams and consumer are used as they are, under his names and
// with his limits; servers and clients create nothing.
func TestWhatAnOperatorOwns(t *testing.T) {
	s := natsd.Start(t, &server.Options{StoreDir: t.TempDir()})
	nc, err := natsgo.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := nats.Config{URL: s.ClientURL(), NoCreate: true}
	b := open(t, cfg)

	wants := func(parts ...string) {
		t.Helper()
		err := b.Submit(within(t), requestOf("k", "r1", 1))
		if len(parts) > 0 && parts[0] == "Consume" {
			c := consume(t, b, 4, "k")
			<-c.over
			err = c.err
		}
		wantIs(t, "the call", err, nats.ErrMissing)
		for _, part := range parts {
			if part != "Consume" && (err == nil || !strings.Contains(err.Error(), part)) {
				t.Errorf("got %v; want an error that says %q", err, part)
			}
		}
	}
	create := func(c jetstream.StreamConfig) {
		t.Helper()
		if _, err := js.CreateStream(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	wants("OCCAMY_REQUESTS", "subjects occamy.request.*", "retention workqueue")
	create(jetstream.StreamConfig{
		Name: "OCCAMY_REQUESTS", Subjects: []string{"occamy.request.k"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.MemoryStorage,
		MaxMsgs: 1000, Discard: jetstream.DiscardNew, MaxAge: time.Hour,
	})
	wants("Consume", "OCCAMY_DEAD", "subjects occamy.dead.*.*", "retention limits")
	create(jetstream.StreamConfig{Name: "OCCAMY_DEAD", Subjects: []string{"occamy.dead.>"}, MaxMsgs: 10})
	wants("Consume", "OCCAMY_OUTCOMES", "occamy.outcome.*", "max_age 24h0m0s")
	create(jetstream.StreamConfig{Name: "OCCAMY_OUTCOMES", Subjects: []string{"occamy.outcome.*"}, Storage: jetstream.MemoryStorage})
	wants("Consume", "KV_OCCAMY_PROGRESS", "$KV.OCCAMY_PROGRESS.>")
	create(jetstream.StreamConfig{Name: "KV_OCCAMY_PROGRESS", Subjects: []string{"$KV.OCCAMY_PROGRESS.>"}})
	wants("Consume", "filter_subject occamy.request.k", "ack_policy explicit", "max_deliver -1")
	_, err = js.CreateConsumer(context.Background(), "OCCAMY_REQUESTS", jetstream.ConsumerConfig{
		Durable: "mine", FilterSubject: "occamy.request.k", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 7 * time.Second,
		MaxDeliver: 20, MaxAckPending: 100, MaxRequestBatch: 2, MaxRequestExpires: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}

	c := consume(t, b, 4, "k")
	submit(t, b, "k", ids("r", 3)...)
	for range 3 {
		m := c.next(t)
		if got := m.(occamy.Leased).AckWait(); got != 7*time.Second {
			t.Errorf("its lease lasts %v, want the consumer's 7s", got)
		}
		ack(t, m)
	}
	if err := c.stop(); err != nil {
		t.Errorf("Consume: %v", err)
	}
	info, err := js.Stream(context.Background(), "OCCAMY_REQUESTS")
	if err != nil || info.CachedInfo().Config.Storage != jetstream.MemoryStorage || info.CachedInfo().Config.MaxMsgs != 1000 || info.CachedInfo().State.Consumers != 1 {
		t.Errorf("the stream is %+v now, %v", info.CachedInfo(), err)
	}

	// A subject that the stream does not take would never be confirmed.
	err = b.Submit(within(t), requestOf("other", "r1", 1))
	wantIs(t, "Submit of another kind", err, nats.ErrUnsuitable)
	if err == nil || !strings.Contains(err.Error(), "add the subject occamy.request.other") {
		t.Errorf("got %v; want an error that says what to add", err)
	}
}
