// Package labels bounds what the labels of a metric can be: kinds that come
// from outside, and errors of all sorts, become one of few names. It is shared
// by the adapters, so that they name things alike, and knows no metrics library.
package labels

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/occamy-go/occamy"
)

// Other is the label of what has no label of its own.
const Other = "other"

// Enum is a fixed set of names, each with a number. Another name has that of
// the last one, which is Other.
type Enum struct{ names []string }

func newEnum[S ~string](names ...S) Enum {
	all := make([]string, 0, len(names)+1)
	for _, n := range names {
		all = append(all, string(n))
	}
	return Enum{append(all, Other)}
}

// Len is how many names there are, Other included.
func (e Enum) Len() int { return len(e.names) }

// Name is the name of a number.
func (e Enum) Name(i int) string { return e.names[i] }

// Names are all names but Other.
func (e Enum) Names() []string { return e.names[:len(e.names)-1] }

// Index is the number of a name.
func (e Enum) Index(name string) int {
	if i := slices.Index(e.names, name); i >= 0 {
		return i
	}
	return len(e.names) - 1
}

// What the labels of metrics can be.
var (
	Statuses    = newEnum(occamy.Protected, occamy.Internal, occamy.External, occamy.Empty)
	Outcomes    = newEnum("completed", "stopped", "failed")
	Settlements = newEnum("acked", "rejected", "requeued", "lost")
	Causes      = newEnum(
		occamy.CauseCompleted, occamy.CauseFailure, occamy.CauseAsked, occamy.CausePreempted, occamy.CauseOwnerEnded,
		occamy.CauseShutdown, occamy.CauseCancelled, occamy.CauseTimeout, occamy.CauseDeliveryLost,
		occamy.CauseHandlerTimeout, occamy.CauseNoSlot, occamy.CauseDraining, occamy.CauseTooLarge,
	)
)

// Settled are the settlements that a server makes, with their causes. What is
// not among them has a series once it happens.
var Settled = []struct {
	Settlement string
	Cause      occamy.Cause
}{
	{"acked", occamy.CauseCompleted},
	{"acked", occamy.CauseCancelled},
	{"rejected", occamy.CauseFailure},
	{"rejected", occamy.CauseTimeout},
	{"rejected", occamy.CauseHandlerTimeout},
	{"rejected", occamy.CauseTooLarge},
	{"requeued", occamy.CauseAsked},
	{"requeued", occamy.CauseShutdown},
	{"requeued", occamy.CauseNoSlot},
	{"requeued", occamy.CauseDraining},
	{"lost", occamy.CauseDeliveryLost},
}

// DefaultMaxKinds is how many kinds have a label of their own.
const DefaultMaxKinds = 64

// maxKindLength bounds a label, in bytes.
const maxKindLength = 128

// Kinds gives each of a bounded number of kinds a number. The number 0 is that
// of all others. Kinds come from messages, which anybody may send: so only
// those that are known, or that a task has, get a number.
type Kinds struct {
	most    int
	mu      sync.Mutex // held to add one
	numbers atomic.Pointer[map[string]int]
	names   atomic.Pointer[[]string]
}

// NewKinds makes a set of at most so many kinds: DefaultMaxKinds for zero or
// less.
func NewKinds(most int) *Kinds {
	if most <= 0 {
		most = DefaultMaxKinds
	}
	k := &Kinds{most: most}
	k.numbers.Store(&map[string]int{})
	k.names.Store(&[]string{Other})
	return k
}

// Most is the highest number that there can be.
func (k *Kinds) Most() int { return k.most }

// Find returns the number of a kind, 0 for one that has none.
func (k *Kinds) Find(kind string) int { return (*k.numbers.Load())[kind] }

// Add returns the number of a kind, which it gets if it has none and there is
// one left.
func (k *Kinds) Add(kind string) int {
	if n := k.Find(kind); n > 0 || kind == "" || kind == Other || k.full() {
		return n
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.Find(kind); n > 0 || k.full() {
		return n
	}
	numbers := make(map[string]int)
	for name, n := range *k.numbers.Load() {
		numbers[name] = n
	}
	n := len(numbers) + 1
	numbers[strings.Clone(kind)] = n
	names := append(slices.Clone(*k.names.Load()), label(kind))
	k.names.Store(&names)
	k.numbers.Store(&numbers)
	return n
}

func (k *Kinds) full() bool { return len(*k.numbers.Load()) >= k.most }

// Name is the label of a number.
func (k *Kinds) Name(n int) string { return (*k.names.Load())[n] }

// Label is the label of a kind.
func (k *Kinds) Label(kind string) string { return k.Name(k.Find(kind)) }

// label makes a kind what a metrics library takes.
func label(kind string) string {
	if len(kind) > maxKindLength {
		kind = kind[:maxKindLength]
	}
	return strings.ToValidUTF8(kind, "\uFFFD")
}
