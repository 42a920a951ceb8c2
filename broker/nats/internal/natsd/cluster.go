package natsd

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Cluster is three servers with JetStream.
type Cluster struct{ Nodes []*Node }

// StartCluster starts a cluster, which ends with the test, and returns when
// streams with three replicas can be made.
func StartCluster(t testing.TB, user, password string) *Cluster {
	t.Helper()
	c := &Cluster{}
	var routes []string
	for i := range 3 {
		c.Nodes = append(c.Nodes, &Node{opts: nodeOptions{
			Name: fmt.Sprintf("n%d", i+1), Dir: t.TempDir(), Port: -1, RoutePort: freePort(t), User: user, Password: password,
		}})
		routes = append(routes, fmt.Sprintf("127.0.0.1:%d", c.Nodes[i].opts.RoutePort))
	}
	for _, n := range c.Nodes {
		n.opts.Routes = routes // NATS wants to be told all of them
		t.Cleanup(n.Kill)
		n.start(t)
	}
	c.ready(t)
	return c
}

// freePort is one that nobody listens on just now.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().(*net.TCPAddr).Port
}

// URLs are the addresses of all nodes.
func (c *Cluster) URLs() string {
	all := c.Nodes[0].URL()
	for _, n := range c.Nodes[1:] {
		all += "," + n.URL()
	}
	return all
}

// ready waits until a stream with three replicas can be made.
func (c *Cluster) ready(t testing.TB) {
	t.Helper()
	js := c.Connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		try, stop := context.WithTimeout(ctx, time.Second) // who asks too early gets no answer
		_, err := js.CreateStream(try, jetstream.StreamConfig{Name: "PROBE", Subjects: []string{"probe"}, Replicas: 3})
		stop()
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the cluster is not ready: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := js.DeleteStream(ctx, "PROBE"); err != nil {
		t.Fatal(err)
	}
}

// Connect is a connection without Occamy, which ends with the test.
func (c *Cluster) Connect(t testing.TB) jetstream.JetStream {
	t.Helper()
	opts := c.Nodes[0].opts
	nc, err := natsgo.Connect(c.URLs(), natsgo.UserInfo(opts.User, opts.Password), natsgo.MaxReconnects(-1), natsgo.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Leader returns the node that leads a stream, nil while there is none.
func (c *Cluster) Leader(ctx context.Context, js jetstream.JetStream, stream string) *Node {
	s, err := js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return nil
	}
	for _, n := range c.Nodes {
		if n.opts.Name == s.CachedInfo().Cluster.Leader {
			return n
		}
	}
	return nil
}
