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
// A program that has exchanges and queues of its own for requests and dead
// letters hands in their names ([Config.Names], [Config.Declared]).
//
// # Delivery
//
// RabbitMQ pushes requests up to a prefetch, its credit. Those of a server's kinds
// sum up to its slots, at least 1 each; credit that one kind does not use goes to
// one that does. A server that drains or shuts down gives back what nobody has
// taken, by a copy.
//
// A requeue publishes a copy, at the end of the queue, and then acks the original,
// so it counts towards no limit. A delayed one lies in a queue whose messages
// expire into that of their kind; the delay is at most a fifth longer than asked.
// A delivery is lost with its channel or connection: its task is stopped with
// occamy.ErrDeliveryLost, it can no longer be settled, and RabbitMQ delivers it
// again. After MaxDeliver of these it becomes a dead letter. A classic queue does
// not count them, so there a copy that bears the count takes the place of a
// message that comes again.
//
// A quorum queue also counts what it was about to deliver to a consumer that is
// cancelled in these milliseconds, though nobody had it, and delivers it again. So
// whoever hands requests back waits until its consumers are cancelled; but when
// credit moves between the kinds of a server, a request that arrives just then may
// begin as attempt 2.
//
// What the leader of a quorum queue was about to deliver may die with it, and
// RabbitMQ gives such a request back once its channel closes. So a server replaces
// the channel of a kind over which nothing has come for about 30 s (later for up to
// 5 minutes) while it runs nothing of that kind. A request that comes in that
// millisecond may begin as attempt 2, too.
//
// Connections come back without an end to the tries, over all addresses in turn,
// after waits of about an eighth of the outage, from 50 ms to 10 s. There are two,
// so that one on which RabbitMQ takes no messages, as it is low on memory or disk,
// does not keep acks and deliveries. Who publishes then waits, and is told why when
// ctx ends.
//
// # What it promises
//
// Publications are confirmed, and repeated when the connection breaks before that:
// a request that is submitted just then may be there twice, and run twice. What
// RabbitMQ refuses, as it does for a while when the leader of a queue is gone, and
// as long as a queue is full by a policy that rejects, is published again until
// ctx ends. AMQP confirms no ack, so a request whose ack was under way when the
// connection broke may run again. Nothing that was confirmed is lost as long as
// the queue keeps it.
//
// A quorum queue on a single node of RabbitMQ 3.10 may not come back when that node
// is killed (it waits for others to agree with); one that is replicated, or a node
// that is stopped in order, does.
// And RabbitMQ says that a queue is declared a moment before it is on the disk: a
// node that is alone and is killed in that moment, after the first request of a
// kind, loses the queue with what it holds.
//
// # What to set on the broker
//
// RabbitMQ takes a request from a server that has had it for consumer_timeout, 30
// minutes by default, and closes the channel. From 3.12 on, the queue says how long
// ([Config.ConsumerTimeout]); before that set consumer_timeout in rabbitmq.conf
// above the longest task. [Config.MaxPayload] is to be no more than
// max_message_size. The user needs the permissions to configure, write and read
// what begins with Prefix and amq.gen-.
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
// What servers announce to whoever watches them goes the same way, through the
// same exchange, to bounded queues that go with their connection; it needs no
// permission beyond those above.
//
// # Outcomes
//
// Outcomes stand in 32 streams, by their ID. Result and Watch look through one of
// them, so they take the longer the more outcomes there are: with 100,000, of which
// they read 3,000, 0.4 s on two busy cores (BenchmarkResult). Those who look at
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
