//go:build services

package rabbitmq_test

import (
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// foreign publishes to the queue of kind k what somebody without Occamy might.
func foreign(t testing.TB, cfg rabbitmq.Config, msg amqp.Publishing) {
	t.Helper()
	ch := bare(t, cfg.URL)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	done, err := ch.PublishWithDeferredConfirm(cfg.Prefix+".request", "k", true, false, msg)
	if err != nil {
		t.Fatal(err)
	}
	if !done.Wait() {
		t.Fatal("the broker did not keep it")
	}
}

// A header that nearly fills a frame leaves no room for the adapter's own.
func TestAHugeKindOrIDBecomesADeadLetter(t *testing.T) {
	keys := occamy.DefaultHeaderKeys()
	huge := strings.Repeat("x", 120_000)
	for name, headers := range map[string]amqp.Table{
		"kind": {keys.Kind: huge},
		"ID":   {keys.RequestID: huge},
		"both": {keys.Kind: huge[:60_000], keys.RequestID: huge[:60_000]},
		"many": {keys.Kind: huge[:40_000], keys.RequestID: huge[:40_000], "a": huge[:40_000]},
	} {
		t.Run(name, func(t *testing.T) {
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
			b := open(t, cfg)
			a := consume(t, b, 1, "k")
			submit(t, b, "k", "first")
			ack(t, a.next(t))
			foreign(t, cfg, amqp.Publishing{Headers: headers, Body: []byte("body")})
			if err := a.next(t).(occamy.ReasonedRejecter).RejectFor(within(t), "nobody wants it"); err != nil {
				t.Fatal(err)
			}
			letters, err := b.DeadLetters(within(t), 0)
			if err != nil || len(letters) != 1 {
				t.Fatalf("%d letters, %v; want 1", len(letters), err)
			}
			if l := letters[0]; string(l.Body) != "body" || !strings.Contains(l.Reason, "nobody wants it") || l.Kind != "k" {
				t.Errorf("letter of kind %.50q with the body %q for %.100q", l.Kind, l.Body, l.Reason)
			}
			submit(t, b, "k", "next")
			ack(t, a.next(t))
		})
	}
}

// What the adapter cannot copy, for its headers are too large, goes back as it is.
func TestARequestTooLargeToCopyIsGivenBack(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	b := open(t, cfg)
	a := consume(t, b, 1, "k")
	submit(t, b, "k", "first")
	ack(t, a.next(t))
	foreign(t, cfg, amqp.Publishing{Headers: amqp.Table{"huge": strings.Repeat("x", 100_000)}, Body: []byte("body")})
	if err := a.next(t).Reject(within(t), true); err != nil {
		t.Errorf("requeue: %v", err)
	}
	ack(t, a.next(t))
}

// The library ends the connection at headers that are nested too deeply, or too
// many, and all that runs on the server would be lost with it, again and again.
func TestHeadersThatTheLibraryCannotReadBreakNoConnection(t *testing.T) {
	deep := amqp.Table{}
	for range 33 {
		deep = amqp.Table{"d": deep}
	}
	for name, headers := range map[string]amqp.Table{"deep": deep, "long": {"a": make([]any, 8193)}} {
		t.Run(name, func(t *testing.T) {
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
			b := open(t, cfg)
			a := consume(t, b, 2, "k")
			submit(t, b, "k", "running")
			running := a.next(t)
			foreign(t, cfg, amqp.Publishing{ContentType: "text/plain", Headers: headers, Body: []byte("body")})
			submit(t, b, "k", "next")
			ack(t, a.next(t))
			eventually(t, "it is a dead letter", func() bool {
				all, err := b.DeadLetters(within(t), 0)
				return err == nil && len(all) == 1 && string(all[0].Body) == "body" && strings.Contains(all[0].Reason, "headers")
			})
			if attemptOf(running) != 1 {
				t.Error("a request that ran came anew")
			}
			ack(t, running)
		})
	}
}

// Each value that RabbitMQ lets in comes out again in a copy and in a letter.
func TestStrangeHeadersTravelOn(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	b := open(t, cfg)
	a := consume(t, b, 1, "k")
	submit(t, b, "k", "first")
	ack(t, a.next(t))
	deep := amqp.Table{}
	for range 31 {
		deep = amqp.Table{"d": deep}
	}
	keys := occamy.DefaultHeaderKeys()
	foreign(t, cfg, amqp.Publishing{Headers: amqp.Table{
		"nil": nil, "decimal": amqp.Decimal{Scale: 200, Value: -1}, "time": time.Unix(1<<40, 0),
		"deep": deep, "bytes": []byte{0, 255}, "u16": uint16(1), "u32": uint32(1), "i8": int8(-1), "u8": uint8(200),
		"array": []any{nil, amqp.Table{"": ""}, []any{}}, "": "empty", "\xff\xfe": "\xff",
		"CC": []any{}, "x-death": "none", "x-delivery-count": "many", "x-occamy-crashes": []any{int64(9)},
		keys.Kind: amqp.Table{"k": nil}, keys.RequestID: []any{"id"},
	}, Body: []byte("body"), Priority: 7, Type: "\xff", MessageId: strings.Repeat("\xff", 255)})
	m := a.next(t)
	if err := m.Reject(within(t), true); err != nil {
		t.Fatal(err)
	}
	m = a.next(t)
	if got := attemptOf(m); got != 2 {
		t.Errorf("attempt %d, want 2", got)
	}
	if err := m.(occamy.ProgressKeeper).PublishProgress(within(t), []byte("p")); err != nil {
		t.Fatal(err)
	}
	if err := m.(occamy.DelayedRequeuer).RequeueAfter(within(t), 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	m = a.next(t)
	if err := m.(occamy.ReasonedRejecter).RejectFor(within(t), "strange"); err != nil {
		t.Fatal(err)
	}
	letters, err := b.DeadLetters(within(t), 0)
	if err != nil || len(letters) != 1 {
		t.Fatalf("%d letters, %v; want 1", len(letters), err)
	}
	if err := b.Retry(within(t), letters[0].Key); err != nil {
		t.Fatal(err)
	}
	ack(t, a.next(t))
}

// The queue by which servers are counted holds nothing.
func TestGarbageForTheServersQueueIsThrownAway(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url)}
	b := open(t, cfg)
	a := consume(t, b, 1, "k")
	submit(t, b, "k", "first")
	ack(t, a.next(t))
	eventually(t, "the server is there", func() bool {
		all, err := b.Servers(within(t), time.Second)
		return err == nil && len(all) == 1
	})
	ch := bare(t, url)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		kept, err := ch.PublishWithDeferredConfirm("", cfg.Prefix+".servers", true, false, amqp.Publishing{Body: []byte("garbage")})
		if err != nil || !kept.Wait() {
			t.Fatalf("the broker did not keep it: %v", err)
		}
	}
	eventually(t, "all of it is gone", func() bool {
		q, err := ch.QueueDeclarePassive(cfg.Prefix+".servers", true, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		return q.Messages == 0
	})
}

// A classic queue may have priorities, which outlive a requeue.
func TestARequeueKeepsThePriority(t *testing.T) {
	url := nodeURL(t)
	cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: rabbitmq.Classic}
	b := open(t, cfg)
	ch := bare(t, url)
	if _, err := ch.QueueDeclare(cfg.Prefix+".request.k", true, false, false, false, amqp.Table{"x-max-priority": 9}); err != nil {
		t.Fatal(err)
	}
	a := consume(t, b, 1, "k")
	submit(t, b, "k", "first")
	ack(t, a.next(t))
	foreign(t, cfg, amqp.Publishing{Priority: 9, Body: []byte("urgent")})
	m := a.next(t)
	submit(t, b, "k", "usual")
	if err := m.Reject(within(t), true); err != nil {
		t.Fatal(err)
	}
	if m = a.next(t); string(m.Body()) != "urgent" {
		t.Errorf("%q comes before the one with a higher priority", idOf(m))
	}
}
