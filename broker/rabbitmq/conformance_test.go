//go:build services

package rabbitmq_test

import (
	"testing"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// world is a prefix of its own on the shared node, and for each connection a
// cable that can be cut.
type world struct {
	cfg    rabbitmq.Config
	cables map[broker.Broker]*cable
}

func openWorld(queues rabbitmq.QueueType) func(t testing.TB, o brokertest.Options) brokertest.World {
	return func(t testing.TB, o brokertest.Options) brokertest.World {
		url := nodeURL(t)
		return &world{
			cfg: rabbitmq.Config{
				URL: url, Prefix: newPrefix(t, url), QueueType: queues,
				MaxDeliver: o.MaxDeliver, MaxPayload: o.MaxPayload, Keys: o.Keys,
			},
			cables: make(map[broker.Broker]*cable),
		}
	}
}

func (w *world) Connect(t testing.TB) broker.Broker {
	cfg, c := w.cfg, newCable()
	cfg.Dial = c.dial
	b := open(t, cfg)
	w.cables[b] = c
	return b
}

func (w *world) Crash(_ testing.TB, b broker.Broker) { b.(*rabbitmq.Broker).Crash() }
func (w *world) Cut(_ testing.TB, b broker.Broker)   { w.cables[b].cut() }
func (w *world) Heal(_ testing.TB, b broker.Broker)  { w.cables[b].heal() }

// lacks is what RabbitMQ cannot do.
var lacks = map[brokertest.Ability]string{
	brokertest.Pull:          "RabbitMQ pushes, up to a prefetch for each kind of at least 1",
	brokertest.Lease:         "a delivery stays with its connection, up to the consumer timeout",
	brokertest.ConfirmedAck:  "AMQP has no answer to an ack",
	brokertest.Deduplication: "RabbitMQ does not tell a request that is submitted twice from two",
}

func TestConformanceQuorum(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{Open: openWorld(rabbitmq.Quorum), Lacks: lacks})
}

func TestConformanceClassic(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{Open: openWorld(rabbitmq.Classic), Lacks: lacks})
}
