// Package otel tells OpenTelemetry what a server does: a [Tracer] makes spans of
// the calls of handlers and tasks, [Metrics] record what monitors are told.
//
// The trace context travels in the headers of messages, as W3C has it: one
// trace reaches from whoever submits a request over the server to its task, and
// to the task's assistants on other servers. [Tracer.Inject] writes the headers;
// it is for client.WithInject and assist.Config.Inject. What comes in with a
// message is bounded and need not be true: whoever may submit requests may name
// any trace, and ask for it to be sampled, unless the sampler says otherwise.
//
// The package knows no SDK and no exporter: providers come from the program.
package otel

// scope names the instrumentation.
const scope = "github.com/occamy-go/occamy/monitor/otel"
