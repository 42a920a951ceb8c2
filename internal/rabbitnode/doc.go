// Package rabbitnode runs RabbitMQ nodes for tests, benchmarks and faults, from
// the installed package and by its own scripts.
//
// A node is a child process in the foreground, with a directory, ports, a
// cookie and a port mapper of its own, on the loopback address. It never
// touches the node that the system may run, it needs no root, and it ends with
// the program that started it, on Linux even when that is killed.
//
//	node, err := rabbitnode.Start(ctx, rabbitnode.Config{})
//	…
//	defer node.Close()
//	conn, err := amqp.Dial(node.URL())
//
// Use is for what needs a RabbitMQ but none of its own. The package knows
// nothing of Occamy, and stands on the standard library alone. It is empty
// where there are no process groups (Windows).
package rabbitnode
