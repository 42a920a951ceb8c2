package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/brokertest"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/internal/natsd"
)

func TestMain(m *testing.M) {
	natsd.Main()
	goleak.VerifyTestMain(m)
}

// The suite runs in one cluster, with three replicas of each stream; each test
// has a prefix of its own.
func TestConformanceOnACluster(t *testing.T) {
	c := natsd.StartCluster(t, "", "")
	var worlds atomic.Int64
	brokertest.Run(t, brokertest.Harness{
		Open: func(_ testing.TB, o brokertest.Options) brokertest.World {
			if o.AckWait == 0 {
				o.AckWait = 10 * time.Second
			}
			return &world{cables: make(map[broker.Broker]*cable), cfg: nats.Config{
				URL: c.URLs(), Prefix: fmt.Sprintf("w%d", worlds.Add(1)), Replicas: 3,
				AckWait: o.AckWait, MaxDeliver: o.MaxDeliver, Keys: o.Keys,
			}}
		},
		Lacks: map[brokertest.Ability]string{
			brokertest.SizeLimit: "the cluster is the same for all tests, and so is its limit",
		},
	})
}

type world struct {
	cfg    nats.Config
	cables map[broker.Broker]*cable
}

func (w *world) Connect(t testing.TB) broker.Broker {
	cfg, c := w.cfg, &cable{conns: make(map[net.Conn]bool)}
	cfg.Options = []natsgo.Option{natsgo.SetCustomDialer(c)}
	b := open(t, cfg)
	w.cables[b] = c
	return b
}

func (w *world) Crash(_ testing.TB, b broker.Broker) { w.cables[b].cut() }
func (w *world) Cut(_ testing.TB, b broker.Broker)   { w.cables[b].cut() }
func (w *world) Heal(_ testing.TB, b broker.Broker)  { w.cables[b].heal() }

func open(t testing.TB, cfg nats.Config) *nats.Broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg.OnError = func(err error) { t.Logf("in the background: %v", err) }
	b, err := nats.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// patience is how long a test waits for what must happen: NATS takes 4 to 9 s
// to elect a leader in place of one that says nothing.
const patience = time.Minute

// cable is the way of one connection to the cluster; it can be cut.
type cable struct {
	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

var errCable = errors.New("the cable is cut")

// Dial implements natsgo.CustomDialer.
func (c *cable) Dial(network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errCable
	}
	conn, err := net.DialTimeout(network, address, time.Second)
	if err == nil {
		c.conns[conn] = true
	}
	return conn, err
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
	for conn := range c.conns {
		_ = conn.Close() // the test is about what follows
		delete(c.conns, conn)
	}
}

func (c *cable) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}
