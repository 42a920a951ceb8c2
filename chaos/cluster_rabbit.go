package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/occamy-go/occamy/internal/rabbitnode"
)

// rabbitCluster is a cluster of RabbitMQ nodes, each in processes of its own.
type rabbitCluster struct {
	nodes *rabbitnode.Cluster
	order brokerOrder
}

// rabbitConf has the nodes and their clients find out sooner than by RabbitMQ's
// defaults that nobody is there any more: a run has no minute for each time.
var rabbitConf = []string{"heartbeat = 3", "net_ticktime = 8"}

func startRabbit(ctx context.Context, o options, dir string) (cluster, error) {
	nodes, err := rabbitnode.StartCluster(ctx, o.nodes, rabbitnode.Config{Dir: filepath.Join(dir, "rabbit"), Conf: rabbitConf})
	if err != nil {
		return nil, err
	}
	return &rabbitCluster{nodes: nodes, order: brokerOrder{Broker: "rabbitmq", Limit: o.limit}}, nil
}

func (c *rabbitCluster) Hosts() []string {
	hosts := make([]string, len(c.nodes.Nodes))
	for i, n := range c.nodes.Nodes {
		hosts[i] = n.Addr()
	}
	return hosts
}

func (c *rabbitCluster) Order(hosts []string) brokerOrder {
	o := c.order
	o.Hosts = hosts
	return o
}

// queues asks a node that runs for a column of each queue, by name.
func (c *rabbitCluster) queues(ctx context.Context, columns ...string) (rows [][]string, err error) {
	err = errors.New("no node runs")
	for _, n := range c.nodes.Nodes {
		if n.Pid() == 0 {
			continue
		}
		var out string
		args := append([]string{"-q", "list_queues", "--no-table-headers", "name"}, columns...)
		if out, err = n.Ctl(ctx, args...); err != nil {
			continue
		}
		for line := range strings.Lines(out) {
			if row := strings.Split(strings.TrimSpace(line), "\t"); len(row) == len(columns)+1 {
				rows = append(rows, row)
			}
		}
		return rows, nil
	}
	return nil, err
}

// Leaders implements cluster.
func (c *rabbitCluster) Leaders(ctx context.Context) ([]int, error) {
	leader := -1
	err := until(ctx, "the leader of the requests", func() (bool, error) {
		rows, err := c.queues(ctx, "leader")
		for _, row := range rows {
			if row[0] == "occamy.request."+kind {
				leader = slices.IndexFunc(c.nodes.Nodes, func(n *rabbitnode.Node) bool { return n.Name() == row[1] })
			}
		}
		return leader >= 0, err
	})
	return []int{leader}, err
}

// Whole implements cluster: all members of all replicated queues are there.
func (c *rabbitCluster) Whole(ctx context.Context) error {
	return until(ctx, "the RabbitMQ cluster is whole", func() (bool, error) {
		rows, err := c.queues(ctx, "type", "online", "members")
		if err != nil {
			return false, err
		}
		replicated := 0
		for _, row := range rows {
			if row[1] != "quorum" {
				continue
			}
			replicated++
			if members := len(strings.Split(row[3], ",")); members < len(c.nodes.Nodes) || len(strings.Split(row[2], ",")) < members {
				return false, fmt.Errorf("queue %s: %s of %s", row[0], row[2], row[3])
			}
		}
		return replicated > 0, errors.New("no queues")
	})
}

func (c *rabbitCluster) Kill(_ context.Context, node int) error { return c.nodes.Nodes[node].Kill() }

func (c *rabbitCluster) Stop(ctx context.Context, node int) error {
	return c.nodes.Nodes[node].Stop(ctx)
}

func (c *rabbitCluster) Start(ctx context.Context, node int) error {
	return c.nodes.Nodes[node].Restart(ctx)
}

func (c *rabbitCluster) Close() {
	_ = c.nodes.Close() // its data goes too
}
