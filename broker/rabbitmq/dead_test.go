//go:build services

package rabbitmq_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// buried makes dead letters of n requests, d0 and so on.
func buried(t testing.TB, b *rabbitmq.Broker, n int) {
	t.Helper()
	a := consume(t, b, n, "k")
	submit(t, b, "k", ids("d", n)...)
	for range n {
		m := a.next(t)
		if err := m.(occamy.ReasonedRejecter).RejectFor(within(t), "reason of "+idOf(m)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
}

func letterIDs(t testing.TB, b *rabbitmq.Broker) []string {
	t.Helper()
	all, err := b.DeadLetters(within(t), 0)
	if err != nil {
		t.Fatalf("DeadLetters: %v", err)
	}
	got := make([]string, len(all))
	for i, l := range all {
		got[i] = l.ID
	}
	return got
}

// Who looks through the letters takes them away from others, so they take turns.
func TestDeadLettersAreSeenInFullByAll(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			a, b := open(t, cfg), open(t, cfg)
			const n = 20
			buried(t, a, n)
			want := strings.Join(ids("d", n), " ")
			var lookers sync.WaitGroup
			for i := range 8 {
				lookers.Go(func() {
					for range 3 {
						if got := strings.Join(letterIDs(t, []*rabbitmq.Broker{a, b}[i%2]), " "); got != want {
							t.Errorf("looker %d sees %s, want %s", i, got, want)
						}
						if l, err := b.DeadLetter(within(t), "d7"); err != nil || l.Reason != "reason of d7" {
							t.Errorf("DeadLetter: %+v, %v", l, err)
						}
					}
				})
			}
			lookers.Wait()
		})
	}
}

// Nothing is lost when a process dies while it looks through the letters.
func TestDeadLettersOutliveWhoLooks(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			b := open(t, cfg)
			const n = 20
			buried(t, b, n)
			want := strings.Join(ids("d", n), " ")
			for range 3 {
				dying := open(t, cfg)
				holds := dying.HoldDead(within(t), "k")
				if got := <-holds; got != n {
					t.Fatalf("%d letters are held, want %d", got, n)
				}
				dying.Crash()
				if got := strings.Join(letterIDs(t, b), " "); got != want {
					t.Errorf("after the crash there are %s, want %s", got, want)
				}
			}
		})
	}
}

// A letter that is retried by several at a time becomes one request.
func TestRetryByTwoIsOne(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url := nodeURL(t)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(t, url), QueueType: queues}
			a, b := open(t, cfg), open(t, cfg)
			buried(t, a, 3)
			var done atomic.Int32
			var retrying sync.WaitGroup
			for i := range 6 {
				retrying.Go(func() {
					err := []*rabbitmq.Broker{a, b}[i%2].Retry(within(t), "d1")
					switch {
					case err == nil:
						done.Add(1)
					case !errors.Is(err, broker.ErrNotFound):
						t.Errorf("Retry: %v", err)
					}
				})
			}
			retrying.Wait()
			if done.Load() != 1 {
				t.Errorf("%d retries say that it was them, want 1", done.Load())
			}
			if got := strings.Join(letterIDs(t, a), " "); got != "d0 d2" {
				t.Errorf("left are %q", got)
			}
			queues, err := b.Queues(within(t))
			if err != nil || len(queues) != 1 || queues[0].Ready != 1 || queues[0].Dead != 2 {
				t.Errorf("the queues are %+v, %v; want one request and two letters", queues, err)
			}
		})
	}
}

// What RabbitMQ dead-letters itself is a letter like any other.
func TestLettersOfRabbitMQ(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			url := nodeURL(t)
			prefix := newPrefix(t, url)
			b := open(t, rabbitmq.Config{URL: url, Prefix: prefix, QueueType: queues})
			submit(t, b, "k", "r1")
			ch := bare(t, url)
			d, ok, err := ch.Get(prefix+".request.k", false)
			if err != nil || !ok {
				t.Fatalf("Get: %t, %v", ok, err)
			}
			if err := d.Reject(false); err != nil {
				t.Fatal(err)
			}
			var l broker.DeadLetter
			eventually(t, "it is a dead letter", func() bool {
				l, err = b.DeadLetter(within(t), "r1")
				return err == nil
			})
			if l.Kind != "k" || l.ID != "r1" || string(l.Body) != "body of r1" || !strings.Contains(l.Reason, "rejected") || l.Time.IsZero() {
				t.Errorf("the letter is %+v", l)
			}
			if err := b.Retry(within(t), l.Key); err != nil {
				t.Fatal(err)
			}
			m := consume(t, b, 1, "k").next(t)
			if idOf(m) != "r1" || attemptOf(m) != 1 {
				t.Errorf("it came as attempt %d of %q", attemptOf(m), idOf(m))
			}
			for key := range m.Headers() {
				if strings.HasPrefix(key, "x-") {
					t.Errorf("it has the header %s", key)
				}
			}
			ack(t, m)
		})
	}
}

// The limit of the queue catches what the adapter never gets to count.
func TestTheLimitOfTheQueueIsAReason(t *testing.T) {
	url := nodeURL(t)
	prefix := newPrefix(t, url)
	ch := bare(t, url)
	_, err := ch.QueueDeclare(prefix+".request.k", true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-delivery-limit": 1, "x-dead-letter-exchange": prefix + ".dead", "x-dead-letter-routing-key": "k",
	})
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, rabbitmq.Config{URL: url, Prefix: prefix})
	submit(t, b, "k", "r1")
	for range 2 {
		var d amqp.Delivery
		eventually(t, "it can be had", func() bool {
			var ok bool
			if d, ok, err = ch.Get(prefix+".request.k", false); err != nil {
				t.Fatal(err)
			}
			return ok
		})
		if err := d.Nack(false, true); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is a dead letter that says why", func() bool {
		l, err := b.DeadLetter(within(t), "r1")
		return err == nil && strings.Contains(l.Reason, "delivery limit")
	})
}

// More letters than one consumer of a quorum queue is given without a prefetch.
func TestManyDeadLetters(t *testing.T) {
	url := nodeURL(t)
	prefix := newPrefix(t, url)
	b := open(t, rabbitmq.Config{URL: url, Prefix: prefix})
	buried(t, b, 1)
	ch := bare(t, url)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	const n = 2500
	var last *amqp.DeferredConfirmation
	for i := range n {
		var err error
		last, err = ch.PublishWithDeferredConfirm(prefix+".dead", "k", true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, Headers: amqp.Table{"Occamy-Request-Id": fmt.Sprint("x", i)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !last.Wait() {
		t.Fatal("not kept")
	}
	all, err := b.DeadLetters(within(t), 0)
	if err != nil || len(all) != n+1 {
		t.Fatalf("%d letters, %v; want %d", len(all), err, n+1)
	}
	if l, err := b.DeadLetter(within(t), fmt.Sprint("x", n-1)); err != nil || l.Kind != "k" {
		t.Errorf("the last one: %+v, %v", l, err)
	}
	if some, err := b.DeadLetters(within(t), 7); err != nil || len(some) != 7 {
		t.Errorf("%d letters, %v; want 7", len(some), err)
	}
}
