//go:build services

package rabbitmq_test

import (
	"context"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// BenchmarkConsume compares a server whose tasks do nothing with a bare client
// of the same prefetch that acks each message, by turns in one run.
func BenchmarkConsume(b *testing.B) {
	for _, queues := range queueTypes {
		b.Run(string(queues), func(b *testing.B) {
			url := nodeURL(b)
			cfg := rabbitmq.Config{URL: url, Prefix: newPrefix(b, url), QueueType: queues}
			client := open(b, cfg)
			const n = 20000
			var ratios []float64
			for b.Loop() {
				fill(b, url, cfg, client, n)
				bareTime := drainBare(b, url, cfg, n)
				fill(b, url, cfg, client, n)
				ratios = append(ratios, float64(bareTime)/float64(drainServer(b, cfg, n)))
				b.Logf("bare %.0f/s, ratio %.2f", n/bareTime.Seconds(), ratios[len(ratios)-1])
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fill puts n requests into the queue.
func fill(b *testing.B, url string, cfg rabbitmq.Config, client *rabbitmq.Broker, n int) {
	if err := client.Submit(within(b), broker.Request{Kind: "k", ID: "r"}); err != nil {
		b.Fatal(err)
	}
	ch := bare(b, url)
	if err := ch.Confirm(false); err != nil {
		b.Fatal(err)
	}
	keys := occamy.DefaultHeaderKeys()
	var last *amqp.DeferredConfirmation
	for range n - 1 {
		var err error
		last, err = ch.PublishWithDeferredConfirm(cfg.Prefix+".request", "k", false, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, Headers: amqp.Table{keys.Kind: "k", keys.RequestID: "r"},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if ok, err := last.WaitContext(within(b)); err != nil || !ok {
		b.Fatal(ok, err)
	}
	var q amqp.Queue
	defer func() {
		if q.Messages != n {
			b.Logf("%d are in the queue", q.Messages)
		}
	}()
	eventually(b, "all are in the queue", func() (ok bool) {
		var err error
		q, err = ch.QueueDeclarePassive(cfg.Prefix+".request.k", true, false, false, false, nil)
		return err == nil && q.Messages == n
	})
}

func drainBare(b *testing.B, url string, cfg rabbitmq.Config, n int) time.Duration {
	ch := bare(b, url)
	if err := ch.Qos(64, 0, false); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	deliveries, err := ch.Consume(cfg.Prefix+".request.k", "bare", false, false, false, false, nil)
	if err != nil {
		b.Fatal(err)
	}
	for range n {
		d := <-deliveries
		if err := d.Ack(false); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(began)
	// RabbitMQ would lose acks if the channel were closed at once.
	if err := ch.Cancel("bare", false); err != nil {
		b.Fatal(err)
	}
	return took
}

type nothing struct{ done chan<- struct{} }

func (t nothing) Details() occamy.Details  { return occamy.Details{} }
func (t nothing) Do(context.Context) error { t.done <- struct{}{}; return nil }

func drainServer(b *testing.B, cfg rabbitmq.Config, n int) time.Duration {
	conn := open(b, cfg)
	done := make(chan struct{}, n)
	s, err := occamy.New(occamy.Config{Slots: 64, Kinds: []string{"k"}, Handler: occamy.HandlerFunc(
		func(context.Context, occamy.Request) (occamy.Task, error) { return nothing{done}, nil })})
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	began := time.Now()
	go func() { served <- s.Serve(context.Background(), conn) }()
	for range n {
		<-done
	}
	took := time.Since(began)
	if err := s.Shutdown(within(b)); err != nil {
		b.Fatal(err)
	}
	if err := <-served; err != nil {
		b.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		b.Fatal(err)
	}
	return took
}
