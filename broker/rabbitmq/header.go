package rabbitmq

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Headers of the adapter's own begin with ownPrefix and never reach a task.
// Headers of a user that begin so, or that mean something to RabbitMQ, travel
// behind escapePrefix.
const (
	ownPrefix    = "x-occamy-"
	escapePrefix = ownPrefix + "user-"

	hdrDeliveries = ownPrefix + "deliveries" // of earlier copies, together
	hdrCrashes    = ownPrefix + "crashes"    // of earlier copies: deliveries that were lost
	hdrOrigin     = ownPrefix + "origin"     // names a request that has no ID
	hdrReason     = ownPrefix + "reason"     // of a dead letter
	hdrTime       = ownPrefix + "time"       // of a dead letter; unix nanoseconds
	hdrKind       = ownPrefix + "kind"       // of a dead letter
	hdrID         = ownPrefix + "id"         // of a dead letter
)

// brokerHeaders are those that RabbitMQ adds or obeys, by how they begin.
var brokerHeaders = []string{
	"x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count",
	"x-stream-", "x-opt-", "x-received-from", "x-shovelled",
}

func reserved(key string) bool {
	if key == "CC" || key == "BCC" || strings.HasPrefix(key, ownPrefix) {
		return true
	}
	if !strings.HasPrefix(key, "x-") {
		return false
	}
	for _, prefix := range brokerHeaders {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// encodeHeaders returns h as AMQP carries it: strings, booleans and numbers of
// the types it has, and a number that it has no type for as text.
func encodeHeaders(h occamy.Headers) (amqp.Table, error) {
	out := make(amqp.Table, len(h)+4)
	for key, value := range h {
		text, err := broker.HeaderText(value)
		if err != nil {
			return nil, err
		}
		if reserved(key) {
			key = escapePrefix + key
		}
		out[key] = encodeValue(value, text)
	}
	return out, nil
}

func encodeValue(value any, text string) any {
	switch v := value.(type) {
	case bool, int64:
		return v
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) { // the broker has none of these
			return v
		}
	case float32:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return v
		}
	case int:
		return int64(v)
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	}
	return text
}

// decodeHeaders returns what a message from outside bears, without what the
// broker and the adapter added. Values have any type that AMQP has.
func decodeHeaders(in amqp.Table) occamy.Headers {
	out := make(occamy.Headers, len(in)+1)
	for key, value := range in {
		if !reserved(key) {
			out[key] = value
		} else if user, ok := strings.CutPrefix(key, escapePrefix); ok && reserved(user) {
			out[user] = value
		}
	}
	return out
}

// userHeaders returns a copy of what h bears besides the headers of the broker
// and of the adapter, as it travels.
func userHeaders(h amqp.Table) amqp.Table {
	out := make(amqp.Table, len(h)+4)
	for key, value := range h {
		if strings.HasPrefix(key, escapePrefix) || !reserved(key) {
			out[key] = value
		}
	}
	return out
}

// count reads a number that the adapter or the broker wrote; anything else
// counts as zero.
func count(h amqp.Table, key string) int {
	var n int64
	switch v := h[key].(type) {
	case int64:
		n = v
	case int32:
		n = int64(v)
	case int16:
		n = int64(v)
	case int8:
		n = int64(v)
	case uint8:
		n = int64(v)
	case uint16:
		n = int64(v)
	case uint32:
		n = int64(v)
	}
	if n < 0 || n > 1<<30 {
		return 0
	}
	return int(n)
}

// text reads a string that the adapter wrote; anything else counts as empty.
func text(h amqp.Table, key string) string {
	s, ok := h[key].(string)
	if !ok || !utf8.ValidString(s) {
		return ""
	}
	return s
}

// headerSize is how long h is on the wire, or a little more.
func headerSize(h amqp.Table) int {
	n := 4
	for key, value := range h {
		n += 1 + len(key) + valueSize(value)
	}
	return n
}

func valueSize(value any) int {
	switch v := value.(type) {
	case string:
		return 5 + len(v)
	case []byte:
		return 5 + len(v)
	case amqp.Table:
		return 1 + headerSize(v)
	case []any:
		n := 5
		for _, e := range v {
			n += valueSize(e)
		}
		return n
	case time.Time:
		return 9
	}
	return 9
}

// cut returns at most limit bytes of s, as text.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:limit], "") + " [cut]"
}
