package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsCluster is a cluster of NATS servers, each in a process of its own, with
// JetStream on disk.
type natsCluster struct {
	orders []natsOrder
	nodes  []*child // nil while a node is down
	limit  int
	lease  time.Duration

	nc *natsgo.Conn // straight to the nodes, to look at them
	js jetstream.JetStream
}

func startNats(ctx context.Context, o options, dir string) (_ cluster, err error) {
	n := o.nodes
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	c := &natsCluster{nodes: make([]*child, n), limit: o.limit, lease: o.lease}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	for i := range n {
		name := nodeName(i)
		c.orders = append(c.orders, natsOrder{
			Name: name, Dir: filepath.Join(dir, name), Log: filepath.Join(dir, name+".log"),
			Port: ports[i], Routes: ports[n+i], Peers: ports[n:],
		})
		if err := c.Start(ctx, i); err != nil {
			return nil, err
		}
	}
	urls := "nats://" + strings.Join(c.Hosts(), ",nats://")
	if c.nc, err = natsgo.Connect(urls, natsgo.RetryOnFailedConnect(true), natsgo.MaxReconnects(-1),
		natsgo.ReconnectWait(100*time.Millisecond)); err != nil {
		return nil, err
	}
	if c.js, err = jetstream.New(c.nc); err != nil {
		return nil, err
	}
	return c, until(ctx, "the NATS cluster answers", func() (bool, error) {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := c.js.AccountInfo(asking)
		return err == nil, err
	})
}

func (c *natsCluster) Hosts() []string {
	hosts := make([]string, len(c.orders))
	for i, o := range c.orders {
		hosts[i] = fmt.Sprintf("%s:%d", host, o.Port)
	}
	return hosts
}

func (c *natsCluster) Order(hosts []string) brokerOrder {
	return brokerOrder{Broker: "nats", Hosts: hosts, Replicas: len(c.orders), Lease: c.lease, Limit: c.limit}
}

const requestStream = "OCCAMY_REQUESTS"

// Leaders implements cluster: those of the stream and of its consumer.
func (c *natsCluster) Leaders(ctx context.Context) ([]int, error) {
	var leaders []int
	err := until(ctx, "the leaders of the requests", func() (bool, error) {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		stream, err := c.js.Stream(asking, requestStream)
		if err != nil {
			return false, err
		}
		names := []string{leaderOf(stream.CachedInfo().Cluster)}
		list := stream.ListConsumers(asking)
		for info := range list.Info() {
			names = append(names, leaderOf(info.Cluster))
		}
		leaders = leaders[:0]
		for _, name := range names {
			i := slices.IndexFunc(c.orders, func(o natsOrder) bool { return o.Name == name })
			if i < 0 {
				return false, errors.New("there is none")
			}
			leaders = append(leaders, i)
		}
		return len(leaders) > 1, list.Err()
	})
	return leaders, err
}

func leaderOf(info *jetstream.ClusterInfo) string {
	if info == nil {
		return ""
	}
	return info.Leader
}

// Whole implements cluster.
func (c *natsCluster) Whole(ctx context.Context) error {
	return until(ctx, "the NATS cluster is whole", func() (bool, error) {
		asking, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		streams, n := c.js.ListStreams(asking), 0
		for info := range streams.Info() {
			n++
			if err := current(info.Cluster, len(c.orders)); err != nil {
				return false, fmt.Errorf("stream %s: %w", info.Config.Name, err)
			}
			stream, err := c.js.Stream(asking, info.Config.Name)
			if err != nil {
				return false, err
			}
			consumers := stream.ListConsumers(asking)
			for consumer := range consumers.Info() {
				if err := current(consumer.Cluster, len(c.orders)); err != nil {
					return false, fmt.Errorf("consumer %s: %w", consumer.Name, err)
				}
			}
			if err := consumers.Err(); err != nil {
				return false, err
			}
		}
		if n == 0 {
			return false, errors.New("no streams")
		}
		return true, streams.Err()
	})
}

// current says whether all replicas have what the leader has.
func current(info *jetstream.ClusterInfo, replicas int) error {
	if replicas == 1 {
		return nil
	}
	if leaderOf(info) == "" {
		return errors.New("no leader")
	}
	n := 1
	for _, r := range info.Replicas {
		if r.Offline || !r.Current {
			return fmt.Errorf("%s is behind", r.Name)
		}
		n++
	}
	if n < replicas {
		return fmt.Errorf("%d replicas", n)
	}
	return nil
}

func (c *natsCluster) Kill(_ context.Context, node int) error {
	down := c.nodes[node]
	c.nodes[node] = nil
	return down.kill()
}

func (c *natsCluster) Stop(_ context.Context, node int) error {
	down := c.nodes[node]
	c.nodes[node] = nil
	return down.stop(20 * time.Second)
}

func (c *natsCluster) Start(_ context.Context, node int) error {
	o := c.orders[node]
	up, err := startChild(childOrder{Node: &o}, o.Log+".out")
	if err != nil {
		return err
	}
	c.nodes[node] = up
	return nil
}

func (c *natsCluster) Close() {
	if c.nc != nil {
		c.nc.Close()
	}
	for _, node := range c.nodes {
		if node != nil {
			_ = node.kill() // its data goes too
		}
	}
}
