// Package rabbitmq is the broker adapter for RabbitMQ 3.10 or later. [Open]
// makes the connection that occamy.Server.Serve and client.New take.
//
// # Where things are kept
//
// All names begin with [Config.Prefix], here "occamy". What is missing is
// created; what is there is left as it is, so an operator may tune it. Kinds and
// IDs stand in names as they are where they are short and plain, else encoded.
//
//	exchange occamy.request    queue occamy.request.<kind>   requests
//	exchange occamy.dead       queue occamy.dead.<kind>      dead letters, kept until retried or removed
//	exchange occamy.delay.<n>  queue occamy.delay.<n>        requests that wait out a delay
//	exchange occamy.control    a queue for each server       control messages, commands, optional requests
//	exchange occamy.event      a queue for each connection that watches
//	                           stream occamy.outcomes.<n>    outcomes, for OutcomeAge at least
//	                           queue occamy.progress.<id>    the last progress, for ProgressAge at most
//	                           queue occamy.kinds            the kinds that there are
//	                           queue occamy.servers          no message; its consumers are the servers
//
// # Control
//
// Control messages, commands and optional requests reach the servers that are
// connected at that moment; they are not kept. The queue of a server goes with its
// connection, so what is sent, or lies there, while it reconnects is lost; whoever
// needs an optional request to arrive repeats it. The queue has room for 10,000
// messages and 64 MiB; beyond that the oldest are dropped.
//
// It is bound by the IDs of the tasks that run there and take control messages, so
// a control message travels to those servers only. A task is bound when it has
// run for 3 ms: until then Control says that nobody took the message.
//
// # Outcomes
//
// Outcomes stand in 32 streams, by their ID. Result and Watch look through one of
// them, which takes about 0.1 s when there are 100,000 outcomes; those who look at
// the same time do it together. A client that submits a request with an ID of its
// own making and waits, as client.SubmitAndWait does, costs the broker nothing
// beyond the outcome.
//
// # Dead letters
//
// AMQP shows messages only to who takes them. Whoever looks at dead letters takes
// them and gives them back, in the same order, and two do so in turns; should a
// process die then, the broker gives them back. A letter that RabbitMQ made itself,
// by a limit or a policy, is listed with what RabbitMQ says of it.
//
// # Queues
//
// AMQP tells how many messages wait in a queue and not how many are unacked; that
// the servers tell when asked. Requests that wait out a delay are in neither.
package rabbitmq
