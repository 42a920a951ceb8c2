//go:build unix

package proof

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/broker/rabbitmq"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/dir"
	"github.com/occamy-go/occamy/checkpoint/natskv"
)

// lease is how long a server may be silent before its requests go to another.
const lease = 2 * time.Second

// node is a NATS server.
func (o *order) node() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, _ := strconv.Atoi(port)
	if err := l.Close(); err != nil {
		return err
	}
	s, err := embedded.Start(embedded.Config{Dir: o.Dir, Port: n, RelaxSync: true})
	if err != nil {
		return err
	}
	if err := o.says(s.URL()); err != nil {
		return err
	}
	select {}
}

// open connects to the broker and the store.
func (o *order) open(ctx context.Context) (broker.Broker, checkpoint.Store, error) {
	if o.Broker == "rabbitmq" {
		b, err := rabbitmq.Open(ctx, rabbitmq.Config{URL: o.URL, Prefix: o.Prefix, MaxDeliver: 100})
		if err != nil {
			return nil, nil, err
		}
		s, err := dir.Open(o.Dir, dir.Options{})
		return b, s, err
	}
	b, err := nats.Open(ctx, nats.Config{URL: o.URL, AckWait: lease, MaxDeliver: 100})
	if err != nil {
		return nil, nil, err
	}
	s, err := natskv.Open(ctx, b.Conn(), natskv.Options{})
	return b, s, err
}

// serve is an Occamy server, with two slots.
func (o *order) serve() error {
	ctx := context.Background()
	a, err := openAudit(o.Name, o.Audit)
	if err != nil {
		return err
	}
	b, store, err := o.open(ctx)
	if err != nil {
		return err
	}
	cfg := assist.Config{Broker: b, Store: &auditedStore{Store: store, audit: a}, SavePeriod: 150 * time.Millisecond, LeaseTimeout: lease, Patience: 10 * time.Second}
	var mux occamy.Mux
	mux.Add("units", assist.Units(newSquares(a), cfg))
	mux.Add("search", assist.Search(newCountdown(a), cfg))
	s, err := occamy.New(occamy.Config{Handler: &mux, Slots: 2, ID: o.Name})
	if err != nil {
		return err
	}
	if err := o.says(""); err != nil {
		return err
	}
	return s.Serve(ctx, b)
}
