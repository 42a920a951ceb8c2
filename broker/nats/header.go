package nats

import (
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// Headers of the adapter's own begin with ownPrefix and never reach a task.
// Headers of a user that begin so, or with the prefix that NATS reserves,
// travel behind escapePrefix.
const (
	ownPrefix    = "Occamy-Jetstream-"
	escapePrefix = ownPrefix + "User-"
	natsPrefix   = "Nats-"

	hdrDeliveries = ownPrefix + "Deliveries" // of earlier copies, together
	hdrCrashes    = ownPrefix + "Crashes"    // of earlier copies: deliveries that were lost
	hdrOrigin     = ownPrefix + "Origin"     // names a request that has no ID
	hdrNotBefore  = ownPrefix + "Not-Before" // unix nanoseconds
	hdrReason     = ownPrefix + "Reason"     // of a dead letter; quoted
	hdrKind       = ownPrefix + "Kind"       // of a dead letter
	hdrID         = ownPrefix + "Id"         // of a dead letter
	hdrPresence   = ownPrefix + "Presence"   // asks whether a server is there, and is for no task
)

func escapeKey(key string) string {
	if hasPrefixFold(key, natsPrefix) || hasPrefixFold(key, ownPrefix) {
		return escapePrefix + key
	}
	return key
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// encodeHeaders returns h as NATS carries it: strings only.
func encodeHeaders(h occamy.Headers) (natsgo.Header, error) {
	out := make(natsgo.Header, len(h)+2)
	for key, value := range h {
		text, err := broker.HeaderText(value)
		if err != nil {
			return nil, err
		}
		out[escapeKey(key)] = []string{text}
	}
	return out, nil
}

// decodeHeaders returns what a message from outside bears, without what NATS
// and the adapter added. A header that is there more than once has no single
// value: it is given as a []string, which the server finds invalid if it
// matters. own is set when the adapter added something.
func decodeHeaders(in natsgo.Header) (out occamy.Headers, own bool) {
	out = make(occamy.Headers, len(in))
	for key, values := range in {
		if user, ok := strings.CutPrefix(key, escapePrefix); ok {
			key = user
		} else if hasPrefixFold(key, natsPrefix) {
			continue
		} else if hasPrefixFold(key, ownPrefix) {
			own = true
			continue
		}
		if len(values) == 1 {
			out[key] = values[0]
		} else if len(values) > 1 {
			out[key] = values
		}
	}
	return out, own
}

// userHeaders returns a copy of what h bears besides the headers of NATS and
// of the adapter, as it travels.
func userHeaders(h natsgo.Header) natsgo.Header {
	out := make(natsgo.Header, len(h)+4)
	for key, values := range h {
		if strings.HasPrefix(key, escapePrefix) || !hasPrefixFold(key, natsPrefix) && !hasPrefixFold(key, ownPrefix) {
			out[key] = values
		}
	}
	return out
}

func first(h natsgo.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// count reads a number that the adapter wrote; anything else counts as zero.
func count(h natsgo.Header, key string) int {
	text := first(h, key)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n
}

// notBefore is the moment before which a delayed copy is not to run.
func notBefore(h natsgo.Header) (time.Time, bool) {
	text := first(h, hdrNotBefore)
	if text == "" {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	return time.Unix(0, n), true
}

// cut returns at most limit bytes of s.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + " [cut]"
}

// quoteReason makes one line of printable ASCII of a reason, of about limit
// bytes at most: quoting may make a few bytes of many kinds many.
func quoteReason(reason string, limit int) string {
	for keep := limit; ; keep /= 2 {
		if q := strconv.QuoteToASCII(cut(reason, keep)); len(q) <= limit+16 || keep == 0 {
			return q
		}
	}
}

func unquoteReason(s string) string {
	if r, err := strconv.Unquote(s); err == nil {
		return r
	}
	return s
}
