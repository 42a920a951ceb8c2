package rabbitmq

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/occamy-go/occamy/broker/internal/token"
)

// Names are those of exchanges and queues that a program may have declared
// itself, or wants to bear other names; see Config.Declared. "{kind}" stands for
// the kind in routing keys and queue names. What is empty is named by
// Config.Prefix.
type Names struct {
	// Requests are published to RequestExchange with RequestKey, which brings
	// them to RequestQueue. "amq.default" is the default exchange.
	RequestExchange, RequestKey, RequestQueue string

	// Dead letters are published to DeadExchange with DeadKey, which brings
	// them to DeadQueue.
	DeadExchange, DeadKey, DeadQueue string
}

// kindMark stands for the kind in names.
const kindMark = "{kind}"

// defaultExchange is how AMQP's default exchange, which has no name, is called
// in the config.
const defaultExchange = "amq.default"

// maxName is how long a name may be for AMQP.
const maxName = 255

// names are the exchanges, queues and routing keys of one world, which a prefix
// sets apart from others in the same virtual host.
type names struct {
	prefix string
	given  Names // filled in

	requests, dead, control, event string // exchanges
	kinds, servers                 string // queues
}

func newNames(prefix string, given Names) (names, error) {
	if prefix == "" || len(prefix) > 32 || !token.IsPlain(prefix) || strings.ToLower(prefix) != prefix {
		return names{}, fmt.Errorf("prefix %q; want 1 to 32 of a-z, 0-9, - and _", prefix)
	}
	for _, f := range []struct {
		value  *string
		preset string
	}{
		{&given.RequestExchange, prefix + ".request"},
		{&given.RequestKey, kindMark},
		{&given.RequestQueue, prefix + ".request." + kindMark},
		{&given.DeadExchange, prefix + ".dead"},
		{&given.DeadKey, kindMark},
		{&given.DeadQueue, prefix + ".dead." + kindMark},
	} {
		if *f.value == "" {
			*f.value = f.preset
		}
		if len(*f.value) > maxName {
			return names{}, fmt.Errorf("the name %.40q… has more than %d bytes", *f.value, maxName)
		}
	}
	return names{
		prefix:   prefix,
		given:    given,
		requests: exchangeName(given.RequestExchange),
		dead:     exchangeName(given.DeadExchange),
		control:  prefix + ".control",
		event:    prefix + ".event",
		kinds:    prefix + ".kinds",
		servers:  prefix + ".servers",
	}, nil
}

func exchangeName(s string) string {
	if s == defaultExchange {
		return ""
	}
	return s
}

// ofKind fills the kind into a name.
func ofKind(pattern, kind string) string {
	return strings.ReplaceAll(pattern, kindMark, token.Of(kind))
}

func (n names) requestKey(kind string) string   { return ofKind(n.given.RequestKey, kind) }
func (n names) requestQueue(kind string) string { return ofKind(n.given.RequestQueue, kind) }
func (n names) deadKey(kind string) string      { return ofKind(n.given.DeadKey, kind) }
func (n names) deadQueue(kind string) string    { return ofKind(n.given.DeadQueue, kind) }

// delay is the name of an exchange and of the queue behind it.
func (n names) delay(bucket string) string { return n.prefix + ".delay." + bucket }

// Keys of the control exchange.
func (n names) controlKey(id string) string    { return "task." + token.Of(id) }
func (n names) optionalKey(kind string) string { return "optional." + token.Of(kind) }
func feedKey(topic string) string              { return "feed." + topic }

const (
	commandKey = "command"
	serversKey = "servers"
)

// Keys of the event exchange. An event goes to where it is kept, and to those
// who watch the ID.
func outcomeKey(stream int) string { return "outcomes." + strconv.Itoa(stream) }
func progressKey(id string) string { return "progress." + token.Of(id) }
func watchKey(id string) string    { return "watch." + token.Of(id) }

const (
	progressPrefix = "progress."
	addressPrefix  = "to."
)

// watchers are the keys by which those who watch a request get its events: by
// its ID, and by the address of the connection that submitted it, where that
// waits for it. Anybody may have written the address, so it must be one.
func watchers(id, address string) []any {
	keys := []any{watchKey(id)}
	if name, ok := strings.CutPrefix(address, addressPrefix); ok && len(name) <= 64 && name != "" && token.IsPlain(name) {
		keys = append(keys, address)
	}
	return keys
}

func (n names) outcomeStream(i int) string     { return fmt.Sprintf("%s.outcomes.%d", n.prefix, i) }
func (n names) progressQueue(id string) string { return n.prefix + ".progress." + token.Of(id) }

// lock is the name of an exclusive queue that says that a queue is looked
// through.
func (n names) lock(queue string) string { return n.prefix + ".browse." + token.Of(queue) }
