package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// cluster is a broker of several nodes on this machine.
type cluster interface {
	// Hosts are the addresses of the nodes, in their order.
	Hosts() []string

	// Order says how a process reaches the broker by those addresses, of the
	// nodes or of their proxies.
	Order(hosts []string) brokerOrder

	// Leaders are the nodes that lead the queue of the requests: those that
	// decide what is delivered and settled. The first is that of its messages.
	Leaders(ctx context.Context) ([]int, error)

	// Whole returns once each node has all that the others have.
	Whole(ctx context.Context) error

	// Kill ends a node at once, Stop in order; Start starts it again. They
	// return when that is done, which is before the cluster is whole.
	Kill(ctx context.Context, node int) error
	Stop(ctx context.Context, node int) error
	Start(ctx context.Context, node int) error

	// Close ends all nodes.
	Close()
}

func startCluster(ctx context.Context, o options, dir string) (cluster, error) {
	switch o.broker {
	case "nats":
		return startNats(ctx, o, dir)
	case "rabbitmq":
		return startRabbit(ctx, o, dir)
	}
	return nil, fmt.Errorf("no broker %q; there are nats and rabbitmq", o.broker)
}

// nodeName is the name of a broker node in the audit log.
func nodeName(node int) string { return fmt.Sprintf("n%d", node+1) }

// freePorts returns ports of the loopback address that nobody uses.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// until calls f, every tenth of a second, until it returns true. last is why
// it did not, for the error.
func until(ctx context.Context, what string, f func() (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, last := f()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: %w", what, context.Cause(ctx)), last)
		}
	}
}
