//go:build services

package rabbitmq_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// consumeAs is consume for a server with an ID.
func consumeAs(t testing.TB, b *rabbitmq.Broker, id string, kinds ...string) *brokertest.Intake {
	t.Helper()
	in := brokertest.NewIntake(id, 1, occamy.HeaderKeys{}, kinds...)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- b.Consume(ctx, in) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil && !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Consume of %s: %v", id, err)
		}
	})
	return in
}

func listed(t testing.TB, b *rabbitmq.Broker, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d servers are listed", n), func() bool {
		all, err := b.Servers(within(t), time.Second)
		if err != nil {
			t.Fatalf("Servers: %v", err)
		}
		return len(all) == n
	})
}

// A control message travels to the servers that run the task, and to no other:
// what a server is not bound for the broker does not send it.
func TestControlGoesOnlyWhereTheTaskRuns(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	b, client := open(t, cfg), open(t, cfg)
	servers := make([]*brokertest.Intake, 20)
	for i := range servers {
		servers[i] = consumeAs(t, b, fmt.Sprintf("s%02d", i), "k")
		servers[i].Place(fmt.Sprintf("own%d", i))
	}
	listed(t, client, len(servers))
	servers[3].Place("t")
	eventually(t, "the task is reached", func() bool {
		return client.Control(within(t), "t", nil, []byte("warm")) == nil
	})
	const n = 100
	for i := range n {
		if err := client.Control(within(t), "t", nil, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := -1; i < n; i++ {
		select {
		case m := <-servers[3].Controls():
			if want := fmt.Sprint(i); i >= 0 && string(m.Body()) != want {
				t.Fatalf("got %q, want %q", m.Body(), want)
			}
		case <-within(t).Done():
			t.Fatalf("message %d did not come", i)
		}
	}
	// A command goes to all, behind whatever else they were sent.
	if err := client.Command(within(t), occamy.Headers{"C": "c"}); err != nil {
		t.Fatal(err)
	}
	for i, s := range servers {
		select {
		case m := <-s.Controls():
			if m.Headers()["C"] != "c" {
				t.Errorf("server %d, which does not run the task, got %v %q", i, m.Headers(), m.Body())
			}
		case <-within(t).Done():
			t.Errorf("server %d did not get the command", i)
		}
	}
}

// stalled is an intake that takes no control message until it is let go.
type stalled struct {
	*brokertest.Intake
	free chan struct{}
	got  chan string
}

func (s *stalled) HandleControl(m occamy.Message) {
	<-s.free
	s.got <- string(m.Body())
}

// The queue of a server that does not keep up is bounded, and so is what this
// process takes ahead: the oldest are dropped.
func TestAFloodOfControlMessagesIsBounded(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	b, client := open(t, cfg), open(t, cfg)
	const flood, most = 11_500, 10_000 + 256 + 1
	s := &stalled{brokertest.NewIntake("s", 1, occamy.HeaderKeys{}, "k"), make(chan struct{}), make(chan string, flood)}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- b.Consume(ctx, s) }()
	defer func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}()
	listed(t, client, 1)
	jobs, sent := make(chan int), make(chan error, 64)
	for range cap(sent) {
		go func() {
			var err error
			for i := range jobs {
				err = errors.Join(err, client.Optional(within(t), broker.Request{Kind: "k", Body: fmt.Append(nil, i)}))
			}
			sent <- err
		}()
	}
	for i := range flood {
		jobs <- i
	}
	close(jobs)
	for range cap(sent) {
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Command(within(t), occamy.Headers{}); err != nil { // the last one, with an empty body
		t.Fatal(err)
	}
	close(s.free)
	got := 0
	for {
		select {
		case body := <-s.got:
			if body != "" {
				got++
				continue
			}
		case <-within(t).Done():
			t.Fatal("the newest message was dropped")
		}
		break
	}
	if got > most || got < 10_000 {
		t.Errorf("%d of %d messages came, want between 10,000 and %d", got, flood, most)
	}
}

// Whoever may publish to the exchange may answer, and ask, what he likes.
func TestServersDoesNotTrustAnswers(t *testing.T) {
	url := nodeURL(t)
	prefix := newPrefix(t, url)
	cfg := rabbitmq.Config{URL: url, Prefix: prefix, OnError: func(error) {}}
	b := open(t, cfg)
	in := consumeAs(t, b, "real", "k")
	listed(t, b, 1)

	ch := bare(t, url)
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(q.Name, "servers", prefix+".control", false, nil); err != nil {
		t.Fatal(err)
	}
	questions, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for m := range questions {
			for _, body := range []string{"", "{", "[1]", "\x1f\x8b\x00", `{"server":7}`, `{"server":"false","kinds":["\u0000","k"],"unacked":{"k":-100,"x":1e99}}`, `{"server":"false","kinds":["\n"],"unacked":{"k":-100}}`} {
				_ = ch.PublishWithContext(context.Background(), "", m.ReplyTo, false, false, amqp.Publishing{Body: []byte(body)})
			}
		}
	}()
	submit(t, b, "k", "r1")
	var held occamy.Message
	select {
	case held = <-in.Requests():
	case <-within(t).Done():
		t.Fatal("no request came")
	}
	eventually(t, "the real server is among those that answer", func() bool {
		all, err := b.Servers(within(t), 300*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Server == "real" {
				return true
			}
		}
		return false
	})
	eventually(t, "the depth is as it is", func() bool {
		queues, err := b.Queues(within(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queues {
			if q.Unacked < 0 || q.Unacked > 1 || broker.CheckKind(q.Kind) != nil {
				t.Errorf("the queue %+v", q)
			}
		}
		return len(queues) == 1 && queues[0].Unacked == 1
	})

	// A question whose answer would become a request.
	if err := ch.PublishWithContext(within(t), prefix+".control", "servers", false, false, amqp.Publishing{ReplyTo: prefix + ".request.k"}); err != nil {
		t.Fatal(err)
	}
	submit(t, b, "k", "r2")
	ack(t, held)
	in.Free(1)
	select {
	case m := <-in.Requests():
		if idOf(m) != "r2" {
			t.Errorf("the request %q %.60q came of a question", idOf(m), m.Body())
		}
	case <-within(t).Done():
		t.Fatal("no request came")
	}
	if err := ch.Close(); err != nil {
		t.Error(err)
	}
	<-answered
}

// An answer has what a server is doing, and Servers waits no longer than for the
// last one.
func TestServersReturnsWhenAllHaveAnswered(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	b := open(t, cfg)
	if all, err := b.Servers(within(t), time.Hour); err != nil || len(all) != 0 {
		t.Fatalf("without a server: %v, %v", all, err)
	}
	for i := range 5 {
		consumeAs(t, b, fmt.Sprint("s", i), "k")
	}
	listed(t, b, 5)
	all, err := b.Servers(within(t), time.Hour)
	if err != nil || len(all) != 5 || all[0].Server != "s0" || all[4].Server != "s4" || len(all[2].Kinds) != 1 {
		text, _ := json.Marshal(all)
		t.Fatalf("Servers gives %s, %v", text, err)
	}
}
