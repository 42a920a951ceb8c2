//go:build unix

package rabbitnode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// A Cluster is RabbitMQ nodes that know each other. Each may be killed, stopped
// and restarted by itself; its data and ports stay its own.
type Cluster struct {
	Nodes []*Node // not to be changed

	dir     string // of the cluster's own; has the mapper's log
	tempDir bool
	mapper  *mapper
}

// StartCluster starts n nodes, each with the same configuration, and returns
// when all are members of one cluster and take logins. With a Dir in the
// Config, each node has a folder in it. The cluster is the caller's to Close.
func StartCluster(ctx context.Context, n int, cfg Config) (*Cluster, error) {
	in, err := find()
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: cfg.Dir}
	if err := c.start(ctx, in, n, cfg); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, in installation, n int, cfg Config) (err error) {
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "rabbitnode-"); err != nil {
			return err
		}
		c.tempDir = true
	} else if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if c.mapper, err = startMapper(ctx, in.epmd, c.dir); err != nil {
		return err
	}
	conf := append(cfg.Conf[:len(cfg.Conf):len(cfg.Conf)], "cluster_formation.peer_discovery_backend = classic_config")
	for i := range n {
		conf = append(conf, fmt.Sprintf("cluster_formation.classic_config.nodes.%d = node%d@localhost", i+1, i+1))
	}
	cookie := rand.Text()
	for i := range n {
		name := fmt.Sprintf("node%d", i+1)
		own := Config{Dir: filepath.Join(c.dir, name), Conf: conf, Plugins: cfg.Plugins, TLS: cfg.TLS}
		node, err := prepare(in, own, name, cookie)
		if err != nil {
			return err
		}
		node.mapper = c.mapper
		c.Nodes = append(c.Nodes, node)
	}
	if err := c.Restart(ctx); err != nil {
		return err
	}
	if n > 0 {
		_, err = c.Nodes[0].Ctl(ctx, "-q", "await_online_nodes", strconv.Itoa(n))
	}
	return err
}

// Restart restarts all nodes side by side: after all have ended, none comes up
// alone.
func (c *Cluster) Restart(ctx context.Context) error {
	errs := make([]error, len(c.Nodes))
	var all sync.WaitGroup
	for i, node := range c.Nodes {
		all.Go(func() { errs[i] = node.Restart(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Node gives the node of a name, such as the leader that a queue reports; nil
// where there is none.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// Close kills what still runs, and removes what stands in temporary
// directories.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.Close())
	}
	if c.mapper != nil {
		errs = append(errs, c.mapper.kill())
	}
	if c.tempDir {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}
