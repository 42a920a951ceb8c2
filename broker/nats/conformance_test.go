package nats_test

import (
	"context"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// startServer starts a NATS server for one test.
func startServer(t testing.TB, cfg embedded.Config) *embedded.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Port == 0 {
		cfg.Port = embedded.AnyPort
	}
	s, err := embedded.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopServer(t, s) })
	return s
}

func stopServer(t testing.TB, s *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func open(t testing.TB, cfg nats.Config) *nats.Broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cfg.OnError = func(err error) { t.Logf("in the background: %v", err) }
	b, err := nats.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// world is a NATS server, and for each connection a cable that can be cut.
type world struct {
	server    *embedded.Server
	cfg       nats.Config
	inProcess bool
	cables    map[broker.Broker]*cable
}

func openWorld(inProcess bool) func(t testing.TB, o brokertest.Options) brokertest.World {
	return func(t testing.TB, o brokertest.Options) brokertest.World {
		if o.AckWait == 0 {
			// What NATS writes to a connection that was cut just then comes
			// back after the AckWait, which must not outlast the suite's patience.
			o.AckWait = 10 * time.Second
		}
		return &world{
			server:    startServer(t, embedded.Config{MaxPayload: o.MaxPayload, RelaxSync: true}),
			cfg:       nats.Config{AckWait: o.AckWait, MaxDeliver: o.MaxDeliver, Keys: o.Keys},
			inProcess: inProcess,
			cables:    make(map[broker.Broker]*cable),
		}
	}
}

func (w *world) Connect(t testing.TB) broker.Broker {
	cfg, c := w.cfg, newCable()
	cfg.URL = w.server.URL()
	if w.inProcess {
		cfg.Options = w.server.InProcess()
	}
	cfg.Options = append(cfg.Options, c.splice, natsgo.ReconnectWait(10*time.Millisecond))
	b := open(t, cfg)
	w.cables[b] = c
	return b
}

func (w *world) Crash(_ testing.TB, b broker.Broker) { b.(*nats.Broker).Crash() }
func (w *world) Cut(_ testing.TB, b broker.Broker)   { w.cables[b].cut() }
func (w *world) Heal(_ testing.TB, b broker.Broker)  { w.cables[b].heal() }

func TestConformanceOverTCP(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{Open: openWorld(false)})
}

func TestConformanceInProcess(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{Open: openWorld(true)})
}
