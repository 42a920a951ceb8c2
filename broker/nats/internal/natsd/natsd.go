// Package natsd runs NATS servers for tests: in this process, and as a cluster
// of processes that can be killed. It knows nothing of Occamy.
package natsd

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience is how long a server or a cluster has to be ready.
const patience = 30 * time.Second

// Start runs a server in this process, on a port of its own, until the test
// ends. JetStream is on when o has a StoreDir.
func Start(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoLog, o.NoSigs = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = -1
	}
	o.JetStream = o.StoreDir != ""
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}
