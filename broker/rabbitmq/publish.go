package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy"
)

var (
	// errNoRoute: no queue took a mandatory message, or its exchange is not
	// there.
	errNoRoute = errors.New("rabbitmq: no queue takes the message")
	// errNack: the broker could not keep a message.
	errNack = errors.New("rabbitmq: the broker did not keep the message")
)

const (
	// largeBody is from how many bytes on a message goes over a channel of its
	// own: the broker closes the channel of one that is too large for it.
	largeBody = 1 << 20
	// maxHeaders is how many bytes of headers a message may have: they travel
	// in one frame, and as a copy or a dead letter it bears more of them.
	maxHeaders = frameSize / 2
)

// publish hands a message to the broker and returns once the broker has
// confirmed that it keeps it. It is published again when the connection is lost
// before that, so it may arrive twice. A mandatory message that reaches no
// queue, and any whose exchange is missing, gives errNoRoute; one that is too
// large an error that wraps occamy.ErrTooLarge. What msg refers to is the
// caller's again when publish returns.
func (b *Broker) publish(ctx context.Context, exchange, key string, mandatory bool, msg amqp.Publishing) error {
	return b.publishBy(ctx, b.shared, exchange, key, mandatory, msg)
}

// publishBy is publish over the channel of an outlet; nil is one of its own.
func (b *Broker) publishBy(ctx context.Context, over *outlet, exchange, key string, mandatory bool, msg amqp.Publishing) error {
	if err := b.fits(&msg); err != nil {
		return err
	}
	if msg.MessageId == "" {
		msg.MessageId = b.messageID()
	}
	j := job{exchange: exchange, key: key, mandatory: mandatory, msg: msg}
	if len(msg.Body) >= largeBody {
		over = nil
	}
	for try := 0; ; try++ {
		err := b.publishOnce(ctx, j, over)
		var closed *amqp.Error
		switch {
		case errors.As(err, &closed) && closed.Server && closed.Recover && over != nil:
			// One of those that shared the channel was at fault; alone it
			// will show which.
			over = nil
			continue
		case passing(err):
		default:
			return publishError(err)
		}
		if pauseErr := b.out.pause(ctx, backoff(try)); pauseErr != nil {
			if ctx.Err() != nil {
				return inVain(ctx, err)
			}
			return pauseErr
		}
	}
}

// messageID returns an ID that no other message has.
func (b *Broker) messageID() string {
	return b.id + "-" + strconv.FormatUint(b.messages.Add(1), 36)
}

func (b *Broker) fits(msg *amqp.Publishing) error {
	if n := len(msg.Body); n > b.cfg.MaxPayload {
		return fmt.Errorf("rabbitmq: %w: %d bytes; MaxPayload is %d", occamy.ErrTooLarge, n, b.cfg.MaxPayload)
	}
	if n := headerSize(msg.Headers); n > maxHeaders {
		return fmt.Errorf("rabbitmq: %w: headers of %d bytes; at most %d fit", occamy.ErrTooLarge, n, maxHeaders)
	}
	return nil
}

// publishError says what a channel that was closed for one message means.
func publishError(err error) error {
	switch {
	case notFound(err):
		return fmt.Errorf("%w: %w", errNoRoute, err)
	case hasCode(err, amqp.PreconditionFailed) && strings.Contains(err.Error(), "message size"):
		return fmt.Errorf("rabbitmq: %w: %w", occamy.ErrTooLarge, err)
	}
	return err
}

// publishOnce publishes over the channel of an outlet; nil is one of its own.
func (b *Broker) publishOnce(ctx context.Context, j job, over *outlet) error {
	if err := b.untilFree(ctx); err != nil {
		return err
	}
	if over == nil {
		p, err := b.newPublisher(ctx, 1, false)
		if err != nil {
			return err
		}
		defer p.leave()
		return b.publishOver(ctx, j, p)
	}
	p, err := over.publisher(ctx, b)
	if err != nil {
		return err
	}
	err = b.publishOver(ctx, j, p)
	switch {
	case errors.Is(err, errUnanswered), over.stream && (passing(err) || errors.Is(err, errNoRoute)):
		over.renew(p)
	case errors.Is(err, errNack):
		over.replace(p)
	}
	return err
}

func (b *Broker) publishOver(ctx context.Context, j job, p *publisher) error {
	select {
	case p.places <- struct{}{}:
	case <-p.over:
		return p.closed()
	case <-ctx.Done():
		return b.unconfirmed(ctx)
	}
	// Who gives up may change what it gave us.
	j.msg.Body = append([]byte(nil), j.msg.Body...)
	j.msg.Headers = maps.Clone(j.msg.Headers)
	j.sent = make(chan struct{})
	select {
	case p.jobs <- &j:
	case <-p.over:
		<-p.places
		return p.closed()
	case <-ctx.Done():
		<-p.places
		return b.unconfirmed(ctx)
	}
	err := p.await(ctx, &j)
	if errors.Is(err, errAbandoned) {
		go func() {
			_ = p.await(context.Background(), &j) // ends with the channel at the latest
			<-p.places
		}()
		return b.unconfirmed(ctx)
	}
	<-p.places
	return err
}

// untilFree waits until the broker takes messages.
func (b *Broker) untilFree(ctx context.Context) error {
	b.out.mu.Lock()
	free := b.out.free
	b.out.mu.Unlock()
	select {
	case <-free:
		return ctx.Err()
	case <-b.out.over:
		return b.out.closed()
	case <-ctx.Done():
		return b.unconfirmed(ctx)
	}
}

// unconfirmed says why ctx ended before the confirmation came.
func (b *Broker) unconfirmed(ctx context.Context) error {
	if err := b.out.blocked(); err != nil {
		return inVain(ctx, err)
	}
	return b.out.inVain(ctx)
}
