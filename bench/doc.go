// Command bench measures what an Occamy server costs, each row beside a
// reference that is measured in the same run.
//
//	go run . [-json] [-rounds N] [-profiles DIR] [NAME…]
//
// A row's two sides take turns, in alternating order, with the same GOMAXPROCS;
// its figures are medians over the rounds, its ratio is the median of the ratios
// within each round, and its note gives the ranges over the rounds. Each family
// of rows runs in a process of its own. The brokers that it needs it starts
// itself; for RabbitMQ, Debian's package rabbitmq-server must be installed.
// Nothing here is asserted: how fast a machine is, is not a property of the code.
package main
