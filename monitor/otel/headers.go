package otel

import "github.com/occamy-go/occamy"

// maxHeader bounds what is read of a header, in bytes: a list of the trace state
// or baggage may be no longer.
const maxHeader = 8 << 10

// headers carry a trace context in those of a message.
type headers occamy.Headers

// Get returns a header that is text of a reasonable length, and else nothing.
func (h headers) Get(key string) string {
	if v, ok := h[key].(string); ok && len(v) <= maxHeader {
		return v
	}
	return ""
}

// Set sets a header.
func (h headers) Set(key, value string) { h[key] = value }

// Keys returns the names of all headers.
func (h headers) Keys() []string {
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	return keys
}
