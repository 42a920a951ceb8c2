package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy"
)

// headroom is what a message may grow by on its way, in bytes: as a copy or as
// a dead letter it bears more headers than when it was submitted.
const headroom = 8192

// maxHeaders is how many bytes of headers JetStream keeps with a message.
const maxHeaders = 1<<16 - 1

type pubAck struct {
	Error     *jetstream.APIError `json:"error"`
	Sequence  uint64              `json:"seq"`
	Duplicate bool                `json:"duplicate"`
}

// publish has a stream keep a message and returns once it is confirmed. id is
// the message's own for de-duplication, so that trying again does not make it
// two; spare is the room in bytes to leave below NATS's limit. The error wraps
// ErrTooLarge when the message is over it.
func (b *Broker) publish(ctx context.Context, stream streamID, subject, id string, h natsgo.Header, body []byte, spare int) error {
	if id != "" {
		if h == nil {
			h = make(natsgo.Header, 1)
		}
		h[natsgo.MsgIdHdr] = []string{id}
	}
	return b.retry(ctx, func() error {
		if most := b.nc.MaxPayload(); most > 0 {
			if size := int64(len(body) + headerSize(h)); size > most-int64(min(spare, int(most/4))) {
				return fmt.Errorf("nats: %w: %d bytes with headers; NATS takes %d", occamy.ErrTooLarge, size, most)
			}
		}
		if size := headerSize(h); size > maxHeaders-spare {
			return fmt.Errorf("nats: %w: headers of %d bytes; NATS takes %d", occamy.ErrTooLarge, size, maxHeaders-spare)
		}
		if err := b.ensureStream(ctx, stream, subject); err != nil {
			return err
		}
		m, err := b.ask(ctx, subject, h, body, tryTime)
		if errors.Is(err, errNobody) || errors.Is(err, errNoWord) {
			b.setup.ready[stream].Store(false)
		}
		if errors.Is(err, natsgo.ErrMaxPayload) {
			return fmt.Errorf("nats: %w: %w", occamy.ErrTooLarge, err)
		}
		if err != nil {
			return err
		}
		var ack pubAck
		if err := json.Unmarshal(m.Data, &ack); err != nil {
			return fmt.Errorf("nats: publish to %s: unreadable confirmation: %w", subject, err)
		}
		if ack.Error != nil {
			if ack.Error.ErrorCode == codeTooLarge {
				return fmt.Errorf("nats: %w: %w", occamy.ErrTooLarge, ack.Error)
			}
			return fmt.Errorf("nats: publish to %s: %w", subject, ack.Error)
		}
		return nil
	})
}

// headerSize is how long h is on the wire.
func headerSize(h natsgo.Header) int {
	if len(h) == 0 {
		return 0
	}
	n := len("NATS/1.0\r\n") + len("\r\n")
	for key, values := range h {
		for _, v := range values {
			n += len(key) + len(": ") + len(v) + len("\r\n")
		}
	}
	return n
}

// send publishes a core message and returns once the NATS server has it.
func (b *Broker) send(ctx context.Context, subject string, h natsgo.Header, body []byte) error {
	return b.retry(ctx, func() error {
		err := b.nc.PublishMsg(&natsgo.Msg{Subject: subject, Header: h, Data: body})
		if errors.Is(err, natsgo.ErrMaxPayload) {
			return fmt.Errorf("nats: %w: %w", occamy.ErrTooLarge, err)
		}
		if err != nil {
			return b.publishError(err)
		}
		return b.flush(ctx)
	})
}

// flush returns once the NATS server has all that was sent so far.
func (b *Broker) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	err := b.nc.FlushWithContext(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, natsgo.ErrConnectionClosed), errors.Is(err, natsgo.ErrConnectionReconnecting):
		return b.publishError(err)
	case errors.Is(err, context.DeadlineExceeded):
		return errNoWord
	}
	return err
}
