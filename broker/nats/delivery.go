package nats

import (
	"strconv"
	"strings"
	"time"
)

// delivery is what the subject for acks says of a message.
type delivery struct {
	consumer string
	sequence uint64 // of the message in its stream
	count    int    // 1 for the first delivery
	stored   time.Time
	pending  int // messages that wait behind it
}

// A subject for acks is $JS.ACK.<stream>.<consumer>.<count>.<sequence>.
// <sequence of the consumer>.<time>.<pending>; in its long form the domain and
// the account come before the stream, and whatever may follow at the end.
const (
	ackPrefix = "$JS.ACK."
	shortAck  = 7
	longAck   = 9
)

// parseDelivery reads a subject for acks, which may come from anybody.
func parseDelivery(reply string) (d delivery, ok bool) {
	rest, ok := strings.CutPrefix(reply, ackPrefix)
	if !ok {
		return d, false
	}
	var tokens [longAck]string
	n := 0
	for more := true; more && n < longAck; n++ {
		tokens[n], rest, more = strings.Cut(rest, ".")
	}
	var t []string
	switch n {
	case shortAck:
		t = tokens[1:shortAck]
	case longAck:
		t = tokens[3:]
	default:
		return d, false
	}
	count, err1 := strconv.ParseUint(t[1], 10, 64)
	sequence, err2 := strconv.ParseUint(t[2], 10, 64)
	stored, err3 := strconv.ParseInt(t[4], 10, 64)
	pending, err4 := strconv.ParseUint(t[5], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || count == 0 || t[0] == "" {
		return d, false
	}
	const most = 1 << 30
	return delivery{
		consumer: t[0], sequence: sequence, count: int(min(count, most)),
		stored: time.Unix(0, stored), pending: int(min(pending, most)),
	}, true
}

// source names the message, whatever becomes of its stream.
func (d delivery) source() string {
	return d.consumer + "." + strconv.FormatUint(d.sequence, 10)
}

// String names this delivery, for de-duplication.
func (d delivery) String() string { return d.source() + "." + strconv.Itoa(d.count) }
