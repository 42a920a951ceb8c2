package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// brokerFamily: what the broker adds to the wait on a saturated machine.
func brokerFamily() family {
	const about = "as saturated, through the embedded JetStream broker (synced always) in the same process, from the planned publish until Do; reference: the callback of a bare JetStream client under the same load, and that hand-over"
	return family{
		procs: 3,
		rows: []row{
			{name: "saturated_broker", unit: "ms", goal: "≤ 1.5, and value < 2", about: "p50 " + about},
			{name: "saturated_broker_p99", unit: "ms", goal: "≤ 1.5, and value < 10", about: "p99 " + about},
		},
		value: brokerSample, reference: bareBroker,
	}
}

// withEmbedded runs f beside an embedded broker on an empty data directory.
func withEmbedded(f func(ctx context.Context, s *embedded.Server) (sample, error)) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "occamy-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := embedded.Start(embedded.Config{Dir: dir, Port: embedded.AnyPort})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Shutdown(ctx)) }()
	return f(ctx, s)
}

func brokerSample(p plan) (sample, error) {
	return withEmbedded(func(ctx context.Context, e *embedded.Server) (_ sample, err error) {
		connect := func() (*nats.Broker, error) {
			return nats.Open(ctx, nats.Config{URL: e.URL(), Options: e.InProcess()})
		}
		client, err := connect()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, client.Close()) }()
		source, err := connect()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, source.Close()) }()

		a := planArrivals(p, p.duration(15*time.Second))
		s, err := saturated(a)
		if err != nil {
			return nil, err
		}
		serving := make(chan error, 1)
		go func() { serving <- s.Serve(ctx, source) }()
		defer func() { err = errors.Join(err, s.stop(), <-serving) }()

		// The way from end to end is open before the clock starts.
		if err := client.Submit(ctx, broker.Request{Kind: "first", ID: "first"}); err != nil {
			return nil, err
		}
		if err := await(a.first, "the first request"); err != nil {
			return nil, err
		}
		if err := s.occupy("owner", 1); err != nil {
			return nil, err
		}
		if err := s.full(); err != nil {
			return nil, err
		}
		var sending publishing
		err = a.run(func(i int) {
			sending.publish(func() error {
				return client.Submit(ctx, broker.Request{Kind: "request", ID: strconv.Itoa(i)})
			})
		})
		return a.sample("saturated_broker"), errors.Join(err, sending.wait())
	})
}

// publishing has messages on their way whose publisher does not wait for their
// confirmation.
type publishing struct {
	all sync.WaitGroup
	mu  sync.Mutex
	err error // guarded by mu; the first one
}

func (p *publishing) publish(send func() error) {
	p.all.Go(func() {
		if err := send(); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.err = errors.Join(p.err, err)
		}
	})
}

func (p *publishing) wait() error {
	p.all.Wait()
	return p.err
}

func bareBroker(p plan) (sample, error) {
	return withEmbedded(func(ctx context.Context, e *embedded.Server) (_ sample, err error) {
		connect := func() (*natsgo.Conn, jetstream.JetStream, error) {
			nc, err := natsgo.Connect(e.URL(), e.InProcess()...)
			if err != nil {
				return nil, nil, err
			}
			js, err := jetstream.New(nc)
			return nc, js, err
		}
		publisher, js, err := connect()
		if err != nil {
			return nil, err
		}
		defer publisher.Close()
		receiver, receiverJS, err := connect()
		if err != nil {
			return nil, err
		}
		defer receiver.Close()

		// A stream and a consumer as the broker package makes them.
		stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: "bare", Subjects: []string{"bare.*"},
			Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy, Duplicates: 2 * time.Minute,
		})
		if err != nil {
			return nil, err
		}
		made, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: "bare", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxAckPending: -1,
		})
		if err != nil {
			return nil, err
		}
		consumer, err := receiverJS.Consumer(ctx, "bare", made.CachedInfo().Name)
		if err != nil {
			return nil, err
		}

		a := planArrivals(p, p.duration(15*time.Second))
		h := newHandover(a)
		defer func() { err = errors.Join(err, h.end()) }()
		failed := make(chan error, 1)
		consuming, err := consumer.Consume(func(m jetstream.Msg) {
			i, err := strconv.Atoi(string(m.Data()))
			if err != nil {
				close(a.first)
			} else {
				h.request(i)
			}
			if err := m.Ack(); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		if err != nil {
			return nil, err
		}
		defer consuming.Stop()
		if _, err := js.Publish(ctx, "bare.first", []byte("first")); err != nil {
			return nil, err
		}
		if err := await(a.first, "the first message"); err != nil {
			return nil, err
		}
		var sending publishing
		err = a.run(func(i int) {
			sending.publish(func() error {
				_, err := js.Publish(ctx, "bare.request", []byte(strconv.Itoa(i)), jetstream.WithMsgID(strconv.Itoa(i)))
				return err
			})
		})
		select {
		case e := <-failed:
			err = errors.Join(err, fmt.Errorf("ack: %w", e))
		default:
		}
		return a.sample("saturated_broker"), errors.Join(err, sending.wait())
	})
}
