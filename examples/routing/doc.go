// Package routing is a real task for an Occamy server: it looks for a short
// round trip through the cities of a TSPLIB instance until its time is up.
//
// It shows what a task has to do to be a good citizen. It looks at its context
// between steps of some tens of microseconds, so that it gives its slot back
// within a millisecond (for instances of up to some thousand cities; with
// 100,000 it takes a few). It reports its best tour as progress, and the next server goes
// on from there, with the time that is left, when the request is requeued. It
// grows onto spare slots: on its own server by Expand, on others by an optional
// request that it repeats while it runs. The tasks that help, its assistants,
// search from other seeds. They share no memory with it: master and assistants
// send each other better tours as control messages, so that it makes no
// difference where an assistant stands.
//
// A request has the instance as its body, and these headers, all optional:
//
//	time-limit  how long to search, as time.ParseDuration reads it: default
//	            10s, at most 24h. The time of earlier attempts counts.
//	target      a length; a tour that is no longer ends the search at once
//
// A control message to a running task may have the same headers, to change
// what the request said. The result is a [Result] in JSON, the progress a
// [Progress].
package routing
