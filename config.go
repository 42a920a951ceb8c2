package occamy

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Config says how a server is to work. Only Handler is required; each field's
// comment gives its unit, its default and what zero means.
type Config struct {
	// Handler makes tasks from requests. Required.
	Handler Handler

	// ID names the server among all that share a broker: at most 512 bytes of
	// UTF-8 without control characters or outer spaces, as a command that is
	// for it travels in a header. Empty: the host name, the process ID and a
	// random part.
	ID string

	// Kinds are the kinds of requests that the server consumes. Nil: what
	// Handler's method Kinds() []string returns, as that of a Mux does;
	// required where there is no such method.
	Kinds []string

	// Slots is the number of slots. Each is meant for an equal share of CPU
	// and memory. Zero: the CPUs that the process may use when it starts.
	Slots int

	// Headroom is how many empty slots expansion leaves empty, less than
	// Slots. It is never restored by preemption. Zero: none.
	Headroom int

	// MaxHeadroom lets expansion leave more slots empty than Headroom, up to so
	// many, less than Slots: as many as it takes for nine in ten requests to
	// find an empty slot, judged by those that came recently. Zero: Headroom
	// does not adapt.
	MaxHeadroom int

	// HeadroomMemory is how long what requests needed beyond Headroom is
	// remembered: half of it goes when no request has taken the last empty slot
	// for so long, and half of the rest after as long again. So requests that
	// come more seldom are not prepared for. Zero: 10 min; negative: only
	// requests that leave slots empty lower it.
	HeadroomMemory time.Duration

	// Headers are the header keys: the names of the headers that the server
	// reads. Zero: the defaults.
	Headers HeaderKeys

	// MaxBody is the largest body of a message, in bytes. Zero: 64 MiB;
	// negative: no limit.
	MaxBody int

	// ExpansionPeriod is how often a task that has declined is asked again,
	// and how often owners' shares are brought back to balance. Zero: 1 s;
	// negative: expansion runs only when Expand is called.
	ExpansionPeriod time.Duration

	// RefillDelay is how long a slot that a request leaves stays empty, where
	// requests follow each other so closely. Zero: 10 ms; negative: off.
	RefillDelay time.Duration

	// RebalanceMoves is how many slots change owners for the sake of balance
	// in one period, at most. Zero: a quarter of the slots, at least 1;
	// negative: none.
	RebalanceMoves int

	// HandlerTimeout is how long a handler may take before its message is
	// rejected. Zero: 5 s; negative: no limit.
	HandlerTimeout time.Duration

	// ExpandTimeout is how long a call of Expand may hold slots back. Zero:
	// 100 ms; negative: no limit.
	ExpandTimeout time.Duration

	// KillTimeout is how long a task may run on after it was stopped before it
	// counts as stuck. Zero: 1 s. It must not be negative.
	KillTimeout time.Duration

	// SettleTimeout is how long the settling of a message is tried, and then
	// how long a task's Settled may take. Zero: 30 s. It must not be negative.
	SettleTimeout time.Duration

	// CancelMemory is how long a cancelled ID is remembered: a request that was
	// still in its queue is not run when this server takes it within that time.
	// Zero: 1 min; negative: not at all.
	CancelMemory time.Duration

	// MaxCancelled is how many cancelled IDs are remembered; the oldest goes
	// first. Zero: 10,000.
	MaxCancelled int

	// MaxBacklog is how many optional requests are set aside. Zero: 1,000;
	// negative: none.
	MaxBacklog int

	// MaxBacklogBytes is how many bytes of bodies and headers the backlog may
	// hold. Zero: 64 MiB.
	MaxBacklogBytes int

	// InboxSize is how many control messages may wait for one task. Zero: 64.
	InboxSize int

	// Monitors are told what the server does. Zero: nobody is.
	Monitors Monitors

	// Tracer surrounds the calls of handlers and tasks. Nil: nothing does.
	Tracer Tracer
}

// startCPUs is what the process may use when it starts, before a program sets
// GOMAXPROCS (see [ReserveProcs]).
var startCPUs = runtime.GOMAXPROCS(0)

func orDefault[T int | time.Duration](v, preset T) T {
	if v == 0 {
		return preset
	}
	return v
}

// withDefaults returns c with the zero values replaced, and an error that
// lists every problem.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	c.Slots = orDefault(c.Slots, startCPUs)
	c.MaxBody = orDefault(c.MaxBody, 64<<20)
	c.ExpansionPeriod = orDefault(c.ExpansionPeriod, time.Second)
	c.HeadroomMemory = orDefault(c.HeadroomMemory, 10*time.Minute)
	c.RefillDelay = orDefault(c.RefillDelay, 10*time.Millisecond)
	c.RebalanceMoves = orDefault(c.RebalanceMoves, max(c.Slots/4, 1))
	c.HandlerTimeout = orDefault(c.HandlerTimeout, 5*time.Second)
	c.ExpandTimeout = orDefault(c.ExpandTimeout, 100*time.Millisecond)
	c.KillTimeout = orDefault(c.KillTimeout, time.Second)
	c.SettleTimeout = orDefault(c.SettleTimeout, 30*time.Second)
	c.CancelMemory = orDefault(c.CancelMemory, time.Minute)
	c.MaxCancelled = orDefault(c.MaxCancelled, 10_000)
	c.MaxBacklog = orDefault(c.MaxBacklog, 1_000)
	c.MaxBacklogBytes = orDefault(c.MaxBacklogBytes, 64<<20)
	c.InboxSize = orDefault(c.InboxSize, 64)
	c.Headers = c.Headers.WithDefaults()
	for _, d := range []*time.Duration{
		&c.HeadroomMemory, &c.ExpansionPeriod, &c.RefillDelay, &c.HandlerTimeout,
		&c.ExpandTimeout, &c.KillTimeout, &c.SettleTimeout, &c.CancelMemory,
	} {
		*d = min(*d, longest)
	}

	if c.Handler == nil {
		bad("Handler is nil; set one, for instance a *Mux")
	}
	if c.ID != "" && !travels(c.ID) {
		bad("ID is %.100q; want at most %d bytes of UTF-8 without control characters or outer spaces", c.ID, maxID)
	}
	if c.Kinds == nil {
		if k, ok := c.Handler.(interface{ Kinds() []string }); ok {
			c.Kinds = k.Kinds()
		}
	}
	if len(c.Kinds) == 0 {
		bad("Kinds is empty; set it, or add handlers to the Mux before New")
	}
	seenKind := make(map[string]bool, len(c.Kinds))
	for _, k := range c.Kinds {
		if k == "" || seenKind[k] {
			bad("Kinds has %q twice or empty", k)
		}
		seenKind[k] = true
	}
	if c.Slots < 1 || c.Slots > maxSlots {
		bad("Slots is %d; want 1 to %d, or 0 for the CPUs", c.Slots, maxSlots)
	}
	if c.Headroom < 0 || c.Headroom >= max(c.Slots, 1) {
		bad("Headroom is %d; want 0 to Slots - 1", c.Headroom)
	}
	if c.MaxHeadroom != 0 && (c.MaxHeadroom < c.Headroom || c.MaxHeadroom >= max(c.Slots, 1)) {
		bad("MaxHeadroom is %d; want 0, or Headroom to Slots - 1", c.MaxHeadroom)
	}
	if c.KillTimeout < 0 {
		bad("KillTimeout is %v; want 0 (1 s) or more", c.KillTimeout)
	}
	if c.SettleTimeout < 0 {
		bad("SettleTimeout is %v; want 0 (30 s) or more", c.SettleTimeout)
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"MaxCancelled", c.MaxCancelled}, {"MaxBacklogBytes", c.MaxBacklogBytes}, {"InboxSize", c.InboxSize}} {
		if f.value < 0 {
			bad("%s is %d; want 0 (default) or more", f.name, f.value)
		}
	}
	seenKey := make(map[string]string)
	for _, f := range c.Headers.fields() {
		if other, ok := seenKey[*f.value]; ok {
			bad("Headers.%s and Headers.%s are both %q; want different keys", other, f.name, *f.value)
		}
		seenKey[*f.value] = f.name
	}
	if len(errs) == 0 {
		return c, nil
	}
	return c, fmt.Errorf("occamy: invalid config: %w", errors.Join(errs...))
}

// travels reports whether every broker brings back a name as it was.
func travels(name string) bool {
	return len(name) <= maxID && utf8.ValidString(name) && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// longest is how long anything may take. Two of these may be added to a moment.
const longest = 50 * 365 * 24 * time.Hour

// maxID is the longest ID of a server, in bytes.
const maxID = 512

// maxSlots bounds what a mistyped number can allocate.
const maxSlots = 1 << 20
