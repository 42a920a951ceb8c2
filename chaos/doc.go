// Command chaos breaks things while requests run, and has a second program
// decide from the logs what became of them. README.md beside this file says what
// that proves and how to read it.
//
// The orchestrator runs everything as child processes, which are this program
// again: three server processes, and for NATS the three nodes of the cluster
// (those of RabbitMQ are the installed package's). Each process appends to an
// audit log of its own (package record). Connections go through proxies, one
// for each pair of a process and a broker node.
//
//	main.go, run.go        the run: phases, pace, deadline, verdict
//	submitter.go           the client
//	fleet.go, server.go    the server processes; task.go, what they run
//	cluster*.go            the brokers
//	wires.go, relay.go     the connections
//	faults*.go             what breaks
//	audit/                 the second program
package main
