// Package nats is the broker adapter for NATS JetStream. It works with a NATS
// server or cluster of version 2.10 or later, and with the server that package
// embedded runs inside the process. [Open] makes the connection that
// occamy.Server.Serve and client.New take; the example serves a request and
// waits for its result, with nothing to install.
//
// # Where things are kept
//
// All names begin with [Config.Prefix], here "occamy":
//
//	stream OCCAMY_REQUESTS     occamy.request.<kind>      work queue, one durable consumer for each kind
//	stream OCCAMY_DEAD         occamy.dead.<kind>.<id>    dead letters, kept until retried or removed
//	stream OCCAMY_OUTCOMES     occamy.outcome.<id>        the last outcome, for OutcomeAge
//	bucket OCCAMY_PROGRESS     <id>                       the last progress, for ProgressAge
//	core   occamy.control.<id>, occamy.optional.<kind>, occamy.command, occamy.servers
//
// # Streams that an operator owns
//
// What is missing is created, with [Config.Replicas] copies (with
// [Config.NoCreate] it is an [ErrMissing]). What is there is used as it is,
// with the replicas, limits, placement, storage and age that it has, whatever
// the Config says; consumers are found by their filter, under any name. Only
// what would break promises is refused, with an [ErrUnsuitable] that says what
// to change: a retention with which requests go or stay when they should not, a
// full stream that drops its oldest requests, a consumer without acks, with
// fewer deliveries than MaxDeliver needs or less room than a server has slots.
// An age of the requests is the operator's word: they end with it in silence. A
// consumer under a name of his own cannot tell a stream that was removed and
// made anew from the old one, as ours do.
//
// # Delivery
//
// A server pulls exactly as many requests as it was promised room for, over all
// its kinds together. A request is delivered again when its lease (AckWait of
// the consumer) ends without a keep-alive, and becomes a dead letter when that
// has happened MaxDeliver times. A requeue publishes a copy and then removes
// the original, so it does not count; the copy stands at the end of its queue,
// behind all that wait there: so do the requests that a server hands over when it
// shuts down, once its pulls are withdrawn. Every settlement is confirmed by the
// NATS server.
//
// NATS has no word for "this pull is void": a server that drains, shuts down or
// moves its promises to another kind unsubscribes. A request that NATS had on its
// way to it in these microseconds (longer on a busy machine) reaches nobody until
// its lease ends. A shorter AckWait of the consumer bounds that.
//
// Control messages and optional requests are core NATS messages: they reach the
// servers that are connected at that moment, and are not kept. One that meets the
// end of its task may get lost in a cluster; its sender learns within some 100 ms
// that nobody is there.
//
// # When the connection is lost
//
// It comes back by itself, at another server of the cluster if there is one; a
// try follows an eighth of the outage after the last, so 10 s without a NATS
// server cost 1.25 s afterwards at most. Calls wait meanwhile, until their
// context ends, and also while a stream has no leader. A peer that says nothing
// any more is given up within 12 s, or 20 s while there is much to write.
//
// # Permissions
//
// An account needs these and no more. Inboxes are [Config.InboxPrefix], by
// default _INBOX; a prefix for each user keeps them from reading each other's
// answers.
//
// A server publishes to
//
//	occamy.request.*, occamy.dead.*.*, occamy.outcome.*, $KV.OCCAMY_PROGRESS.*
//	$JS.ACK.OCCAMY_REQUESTS.>
//	$JS.API.CONSUMER.MSG.NEXT.OCCAMY_REQUESTS.*
//	$JS.API.CONSUMER.INFO.OCCAMY_REQUESTS.*
//	$JS.API.CONSUMER.LIST.OCCAMY_REQUESTS
//	$JS.API.STREAM.INFO.OCCAMY_REQUESTS, and the same of OCCAMY_DEAD, OCCAMY_OUTCOMES, KV_OCCAMY_PROGRESS
//	$JS.API.STREAM.MSG.GET.KV_OCCAMY_PROGRESS
//	$JS.API.STREAM.PURGE.KV_OCCAMY_PROGRESS
//
// and to the inbox of whoever asks it (allow_responses), and subscribes to
//
//	_INBOX.>, occamy.control.*, occamy.optional.*, occamy.command, occamy.servers
//
// Without NoCreate it also publishes to
//
//	$JS.API.STREAM.CREATE.OCCAMY_REQUESTS, and the same of the other three
//	$JS.API.CONSUMER.CREATE.OCCAMY_REQUESTS.>
//
// With jobs of package assist a server also publishes to
//
//	occamy.optional.*, occamy.control.*, $JS.API.STREAM.MSG.GET.OCCAMY_OUTCOMES
//
// and the serve of the occamy command to these and occamy.servers. What
// checkpoints need is listed in package checkpoint/natskv.
//
// A server that announces itself publishes to occamy.feed.state and subscribes to
// occamy.feed.watch. Whoever watches the fleet, as the page of serve and 'occamy
// top' do, publishes to occamy.feed.watch and subscribes to occamy.feed.state, and
// needs what a client needs for Queues.
//
// A client publishes to
//
//	occamy.request.*, occamy.optional.*, occamy.control.*, occamy.command, occamy.servers
//	$JS.API.STREAM.INFO.OCCAMY_REQUESTS, and with NoCreate unset $JS.API.STREAM.CREATE.OCCAMY_REQUESTS
//	$JS.API.STREAM.MSG.GET.OCCAMY_OUTCOMES, and the same of KV_OCCAMY_PROGRESS
//	$JS.API.STREAM.INFO.OCCAMY_DEAD, $JS.API.CONSUMER.LIST.OCCAMY_REQUESTS for Queues
//	$JS.API.STREAM.MSG.GET.OCCAMY_DEAD for dead letters
//	$JS.API.STREAM.MSG.DELETE.OCCAMY_DEAD, $JS.API.STREAM.PURGE.OCCAMY_OUTCOMES for Retry
//
// and subscribes to
//
//	_INBOX.>, occamy.outcome.*, $KV.OCCAMY_PROGRESS.*
//
// # Secrets
//
// No error, no name and nothing that OnError is told shows a password, a token,
// a seed or a JWT, wherever it was given.
package nats
