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
//
// The rows units_speedup, units_small, lease_roundtrip and scenario_b are about
// jobs (package assist), whose masters and assistants are in server processes of
// their own. Their units are amounts of computation, calibrated once before the
// first round, and not times: what else runs on the machine slows both sides.
package main
