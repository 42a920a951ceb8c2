package rabbitmq

import (
	"context"
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// channel returns a fresh channel on the connection that is not for publishing,
// and waits for that connection. Whoever asks closes it. A channel belongs to
// one goroutine at a time; its methods know no context, but end with the
// connection.
func (b *Broker) channel(ctx context.Context) (*amqp.Channel, error) {
	return retry(ctx, b, func() (*amqp.Channel, error) {
		conn, err := b.in.wait(ctx)
		if err != nil {
			return nil, err
		}
		return abandon(ctx, conn.Channel, func(ch *amqp.Channel) { _ = ch.Close() })
	})
}

// ask runs f with a channel of its own, again when the connection is lost
// meanwhile. When ctx ends first, f goes on with nobody to hear it, so it must
// not touch what belongs to the caller: it answers by what it returns.
func ask[T any](ctx context.Context, b *Broker, f func(ch *amqp.Channel) (T, error)) (T, error) {
	return retry(ctx, b, func() (T, error) {
		ch, err := b.channel(ctx)
		if err != nil {
			var none T
			return none, err
		}
		return abandon(ctx, func() (T, error) {
			v, err := f(ch)
			_ = ch.Close() // it may be closed already, by what f did
			return v, err
		}, func(T) {})
	})
}

// abandon runs f, which knows no context, and leaves it behind when ctx ends;
// late gets what it returns then.
func abandon[T any](ctx context.Context, f func() (T, error), late func(T)) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, ended(ctx)
	}
	return started(ctx, f, late)
}

// started is abandon of what has to run in any case.
func started[T any](ctx context.Context, f func() (T, error), late func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		v, err := f()
		answers <- answer{v, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		go func() {
			if a := <-answers; a.err == nil {
				late(a.value)
			}
		}()
		var none T
		return none, ended(ctx)
	}
}

// retry calls f until it gives anything but an error that another try may
// overcome. It waits for a connection; the error names the last failure when
// ctx ends first.
func retry[T any](ctx context.Context, b *Broker, f func() (T, error)) (T, error) {
	for try := 0; ; try++ {
		v, err := f()
		if !passing(err) {
			return v, err
		}
		if pauseErr := b.pause(ctx, backoff(try)); pauseErr != nil {
			if ctx.Err() != nil {
				return v, inVain(ctx, err)
			}
			return v, pauseErr
		}
	}
}

// backoff is the wait before another try.
func backoff(try int) time.Duration { return min(10*time.Millisecond<<min(try, 7), time.Second) }

// passing says whether another try may overcome err: the connection was lost,
// or a node is not ready.
func passing(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, errCut) || errors.Is(err, errBlocked) || errors.Is(err, errNack) || errors.Is(err, errUnanswered) {
		return true
	}
	if errors.Is(err, amqp.ErrClosed) {
		return true
	}
	var e *amqp.Error
	if !errors.As(err, &e) {
		return false
	}
	if !e.Server {
		return true // the library's word for a broken connection
	}
	switch e.Code {
	case amqp.ConnectionForced, amqp.InternalError, amqp.ResourceError:
		return true
	}
	return false
}

// notFound says whether the broker has no such queue or exchange.
func notFound(err error) bool { return hasCode(err, amqp.NotFound) }

func hasCode(err error, code int) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Server && e.Code == code
}
