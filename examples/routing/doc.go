// Package routing is a real job for Occamy servers: it looks for a short round
// trip through the cities of a TSPLIB instance until its time is up. It is an
// example of package assist, and of a search: one request, any number of slots
// on any servers, and all that search share the best tour that is known.
//
// What a user would copy is job.go. The rest is about round trips: reading
// instances (instance.go) and headers (goals.go), measuring tours (tour.go), and
// the search itself (internal/search), which knows nothing of tasks.
//
// The search looks at its context between steps of some tens of microseconds, so
// that it gives its slot back within a millisecond (for instances of up to some
// thousand cities; with 100,000 it takes a few). Where assistants come from, how
// tours travel, and what becomes of the best one when a server ends is the
// business of assist.
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
