// Package nats is the broker adapter for NATS JetStream. It works with a NATS
// server or cluster of version 2.10 or later, and with the server that package
// embedded runs inside the process. [Open] makes the connection that
// occamy.Server.Serve and client.New take; the example serves a request and
// waits for its result, with nothing to install.
//
// # Where things are kept
//
// All names begin with [Config.Prefix], here "occamy". What is missing is
// created; what is there is left as it is, so an administrator may tune it.
//
//	stream OCCAMY_REQUESTS   occamy.request.<kind>      work queue, one durable consumer for each kind
//	stream OCCAMY_DEAD       occamy.dead.<kind>.<id>    dead letters, kept until retried or removed
//	stream OCCAMY_OUTCOMES   occamy.outcome.<id>        the last outcome, for OutcomeAge
//	bucket OCCAMY_PROGRESS   <id>                       the last progress, for ProgressAge
//	core   occamy.control.<id>, occamy.optional.<kind>, occamy.command, occamy.servers
//
// # Delivery
//
// A server pulls exactly as many requests as it was promised room for, over all
// its kinds together. A request is delivered again when its lease (AckWait of
// the consumer) ends without a keep-alive, and becomes a dead letter when that
// has happened MaxDeliver times. A requeue publishes a copy and then removes
// the original, so it does not count; the copy stands at the end of its queue,
// behind all that wait there: so do the requests that a server hands over when it
// shuts down. Every settlement is confirmed by the NATS server.
//
// Control messages and optional requests are core NATS messages: they reach the
// servers that are connected at that moment, and are not kept.
package nats
