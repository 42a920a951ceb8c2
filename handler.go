package occamy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Request is what a Handler makes a task from: a request message, or an
// optional request.
type Request struct {
	Kind     string // from the kind header
	ID       string // from the request ID header; may be empty
	Headers  Headers
	Body     []byte
	Optional bool // the task will be unprotected: help that is welcome where there is room
	Attempt  int  // 1 for the first delivery, as far as the broker tells
}

// Handler makes tasks from requests.
//
// Handle runs in a goroutine of that request, so a slow one delays nobody
// else; all the same it should be fast, since its request waits. ctx ends with
// ErrHandlerTimeout after the HandlerTimeout, and when the server shuts down;
// the message is rejected then, whatever Handle returns later. An error or a
// nil task or a panic rejects a request for good, and drops an optional one;
// an error that wraps ErrRequeue has the request delivered again.
type Handler interface {
	Handle(ctx context.Context, r Request) (Task, error)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, r Request) (Task, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, r Request) (Task, error) { return f(ctx, r) }

// Mux is a Handler that chooses another by the kind of the request. Its zero
// value is empty and ready to use. It is safe for use by several goroutines;
// kinds that are added after a server was made from it are not consumed by
// that server.
type Mux struct {
	mu       sync.RWMutex
	handlers map[string]Handler
}

// Handle calls the handler of the request's kind. The error wraps
// ErrUnknownKind when there is none.
func (m *Mux) Handle(ctx context.Context, r Request) (Task, error) {
	m.mu.RLock()
	h := m.handlers[r.Kind]
	m.mu.RUnlock()
	if h == nil {
		return nil, fmt.Errorf("%w: %q", ErrUnknownKind, r.Kind)
	}
	return h.Handle(ctx, r)
}

// Add has h handle the requests of a kind. It panics when the kind is empty or
// has a handler already, or h is nil, as http.ServeMux does: it is a mistake of
// the program.
func (m *Mux) Add(kind string, h Handler) {
	if kind == "" || h == nil {
		panic("occamy: Mux.Add wants a kind and a handler")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.handlers[kind]; ok {
		panic(fmt.Sprintf("occamy: kind %q has a handler already", kind))
	}
	if m.handlers == nil {
		m.handlers = make(map[string]Handler)
	}
	m.handlers[kind] = h
}

// AddFunc is Add for a function.
func (m *Mux) AddFunc(kind string, f func(context.Context, Request) (Task, error)) {
	if f == nil {
		panic("occamy: Mux.AddFunc wants a function")
	}
	m.Add(kind, HandlerFunc(f))
}

// Kinds returns the kinds that have a handler, sorted. A server consumes only
// these.
func (m *Mux) Kinds() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Sorted(maps.Keys(m.handlers))
}
