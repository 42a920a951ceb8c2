// Command scenarios shows, and measures, the two scenarios that Occamy was made
// for, with several servers in processes of their own:
//
//   - A: a request arrives when nothing runs. Every slot of every server works
//     for it.
//   - B: a request arrives while another one uses more slots than it needs. The
//     new one has the slots that it needs at once.
//
// Run it over the embedded broker, or over any other:
//
//	go run ./examples/scenarios [-json]
//	go run ./examples/scenarios -broker amqp://guest:guest@127.0.0.1:5672/
//
// Each request is a job of units (package assist) that says how many slots it
// needs, from 4 to 12, and can use any number more. A unit waits for most of its
// time, so that a small machine can play many servers with many slots: the times
// are those of decisions and messages, and not of cores that have to be won back
// from tasks that compute. bench has those, as scenario_b.
package main
