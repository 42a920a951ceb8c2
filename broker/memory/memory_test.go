package memory_test

import (
	"testing"
	"testing/synctest"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/memory"
	"go.uber.org/goleak"
)

// world is the memory broker as the conformance suite wants it.
type world struct{ first *memory.Broker }

func openWorld(_ testing.TB, o brokertest.Options) brokertest.World {
	return world{memory.New(memory.Options{
		Keys: o.Keys, AckWait: o.AckWait, MaxDeliver: o.MaxDeliver, MaxPayload: o.MaxPayload,
	})}
}

func (w world) Connect(t testing.TB) broker.Broker {
	b := w.first.Connect()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// The death of a process closes its connection; the broker cannot tell it from
// Close.
func (w world) Crash(t testing.TB, b broker.Broker) {
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func (w world) Cut(_ testing.TB, b broker.Broker)  { b.(*memory.Broker).Cut() }
func (w world) Heal(_ testing.TB, b broker.Broker) { b.(*memory.Broker).Heal() }

func TestConformance(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{Open: openWorld, Wrap: synctest.Test})
}

// In real time the goroutines of a test interleave as they like.
func TestConformanceInRealTime(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{Open: openWorld})
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
