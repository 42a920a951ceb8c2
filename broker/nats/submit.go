package nats

import (
	"context"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/internal/token"
)

// Submit implements broker.Broker. A request of the same kind and ID within two
// minutes is not kept again, even when the first one has ended.
func (b *Broker) Submit(ctx context.Context, r broker.Request) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := r.Check(); err != nil {
		return err
	}
	h, err := encodeHeaders(r.WithKeys(b.cfg.Keys))
	if err != nil {
		return err
	}
	once := "request." + token.Of(r.Kind) + "." + token.Of(r.ID)
	return b.publish(ctx, requestsStream, b.names.request(r.Kind), once, h, r.Body, headroom)
}

// Optional implements broker.Broker. It returns once the NATS server has the
// message.
func (b *Broker) Optional(ctx context.Context, r broker.Request) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := r.CheckOptional(); err != nil {
		return err
	}
	h, err := encodeHeaders(r.WithKeys(b.cfg.Keys))
	if err != nil {
		return err
	}
	return b.send(ctx, b.names.optional(r.Kind), h, r.Body)
}

// Command implements broker.Broker. It returns once the NATS server has the
// message.
func (b *Broker) Command(ctx context.Context, headers occamy.Headers) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := broker.CheckHeaders(headers); err != nil {
		return err
	}
	h, err := encodeHeaders(headers)
	if err != nil {
		return err
	}
	return b.send(ctx, b.names.command, h, nil)
}

// Tell implements client.Teller.
func (b *Broker) Tell(ctx context.Context, id string, headers occamy.Headers, body []byte) error {
	if err := b.checkControl(id, headers); err != nil {
		return err
	}
	packed, err := packTold(b.cfg.Keys.TaskID, id, headers, body)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	err = b.nc.PublishRequest(b.names.control(id), b.names.told, packed)
	if errors.Is(err, natsgo.ErrMaxPayload) {
		return fmt.Errorf("nats: %w: %w", occamy.ErrTooLarge, err)
	}
	return b.publishErrorOrNil(err)
}

func (b *Broker) checkControl(id string, headers occamy.Headers) error {
	if err := b.usable(); err != nil {
		return err
	}
	return errors.Join(broker.CheckID(id), broker.CheckHeaders(headers))
}

// controlHeaders checks a control message and returns its headers.
func (b *Broker) controlHeaders(id string, headers occamy.Headers) (natsgo.Header, error) {
	if err := b.checkControl(id, headers); err != nil {
		return nil, err
	}
	h, err := encodeHeaders(headers)
	if err != nil {
		return nil, err
	}
	h[escapeKey(b.cfg.Keys.TaskID)] = []string{id}
	return h, nil
}

// Control implements broker.Broker. It returns once a server has taken the
// message. When the connection is lost before that, it sends the message again,
// which a task may then get twice. ErrNobody: no server has the task, or none any
// more. After another error it is unknown whether a server has taken it.
func (b *Broker) Control(ctx context.Context, id string, headers occamy.Headers, body []byte) error {
	h, err := b.controlHeaders(id, headers)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		err := b.askTask(ctx, b.names.control(id), h, body)
		switch {
		case errors.Is(err, errDown), errors.Is(err, errCut):
			if err := b.link.pause(ctx, backoff(try)); err != nil {
				return err
			}
		case errors.Is(err, errNobody):
			return fmt.Errorf("nats: %q: %w", id, broker.ErrNobody)
		case errors.Is(err, natsgo.ErrMaxPayload):
			return fmt.Errorf("nats: %w: %w", occamy.ErrTooLarge, err)
		default:
			return err
		}
	}
}
