package rabbitmq

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// letter reads a dead letter, which may be the adapter's, or RabbitMQ's own, or
// anybody's.
func (q deadQueue) letter(d *amqp.Delivery, keys occamy.HeaderKeys) broker.DeadLetter {
	l := broker.DeadLetter{
		Key:      letterKey(d, keys),
		ID:       letterID(d.Headers, keys),
		Kind:     text(d.Headers, hdrKind),
		Reason:   text(d.Headers, hdrReason),
		Time:     letterTime(d),
		Attempts: count(d.Headers, hdrDeliveries),
		Headers:  decodeHeaders(d.Headers),
		Body:     d.Body,
	}
	if l.Kind == "" {
		l.Kind, _ = l.Headers[keys.Kind].(string)
	}
	if broker.CheckKind(l.Kind) != nil {
		l.Kind = q.kind
	}
	if l.Body == nil {
		l.Body = []byte{}
	}
	if _, ours := d.Headers[hdrReason]; !ours {
		if death, ok := lastDeath(d.Headers); ok {
			l.Reason = death.reason()
			l.Attempts += death.count
		}
	}
	return l
}

func letterID(h amqp.Table, keys occamy.HeaderKeys) string {
	if id := text(h, hdrID); id != "" {
		return id
	}
	if id := text(h, keys.RequestID); broker.CheckID(id) == nil {
		return id
	}
	return ""
}

// letterTime is when a letter became one, as well as it is known.
func letterTime(d *amqp.Delivery) time.Time {
	if nanos, ok := d.Headers[hdrTime].(int64); ok && nanos > 0 {
		return time.Unix(0, nanos)
	}
	if death, ok := lastDeath(d.Headers); ok && !death.time.IsZero() {
		return death.time
	}
	return d.Timestamp
}

// letterKey names a letter. It is made of what does not change while the letter
// lies there.
func letterKey(d *amqp.Delivery, keys occamy.HeaderKeys) string {
	h := sha256.New()
	add := func(s string) {
		_ = binary.Write(h, binary.BigEndian, uint64(len(s))) // never fails
		_, _ = h.Write([]byte(s))
	}
	add(d.MessageId)
	add(letterID(d.Headers, keys))
	add(letterTime(d).UTC().Format(time.RFC3339Nano))
	if d.MessageId == "" {
		add(string(d.Body))
	}
	return keyPrefix + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:10]))
}

// keyPrefix begins the key of a dead letter.
const keyPrefix = "dead-"

// death is what RabbitMQ notes when it dead-letters a message itself.
type death struct {
	why   string
	queue string
	count int
	time  time.Time
}

// lastDeath reads the newest entry of the x-death header.
func lastDeath(h amqp.Table) (death, bool) {
	all, ok := h["x-death"].([]any)
	if !ok || len(all) == 0 {
		return death{}, false
	}
	entry, ok := all[0].(amqp.Table)
	if !ok {
		return death{}, false
	}
	d := death{why: text(entry, "reason"), queue: text(entry, "queue"), count: count(entry, "count")}
	d.time, _ = entry["time"].(time.Time)
	return d, true
}

func (d death) reason() string {
	const most = 200
	switch d.why {
	case "delivery_limit":
		return fmt.Sprintf("RabbitMQ's delivery limit was reached in the queue %s", cut(d.queue, most))
	case "rejected":
		return fmt.Sprintf("rejected from the queue %s by somebody who gave no reason", cut(d.queue, most))
	case "expired":
		return fmt.Sprintf("its time to live ended in the queue %s", cut(d.queue, most))
	case "maxlen":
		return fmt.Sprintf("the queue %s was full", cut(d.queue, most))
	case "":
		return "RabbitMQ gave no reason"
	}
	return fmt.Sprintf("%s, says RabbitMQ, in the queue %s", cut(d.why, most), cut(d.queue, most))
}
