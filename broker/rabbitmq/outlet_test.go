//go:build services

package rabbitmq

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func openOutlet(t *testing.T, o *outlet) (*Broker, func() *publisher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	b, err := Open(ctx, Config{URL: os.Getenv("OCCAMY_AMQP_URL")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, func() *publisher {
		t.Helper()
		p, err := o.publisher(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func awaitOver(t *testing.T, p *publisher) {
	t.Helper()
	select {
	case <-p.over:
	case <-time.After(20 * time.Second):
		t.Fatal("the channel stays open")
	}
}

// A channel numbers its messages as the stream does while all arrive there: one
// that did not ends it, and what followed on it is published again.
func TestAReturnEndsAChannelToAStream(t *testing.T) {
	o := newStreamOutlet()
	b, publisher := openOutlet(t, o)
	ctx := t.Context()
	ch, err := b.channel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	there, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	one := publisher()
	if err := b.publishBy(ctx, o, "", there.Name, true, amqp.Publishing{}); err != nil {
		t.Fatal(err)
	}
	if publisher() != one {
		t.Error("the next one goes over another channel")
	}

	nowhere := job{key: "no such queue", mandatory: true, msg: amqp.Publishing{MessageId: "a"}}
	follows := job{key: there.Name, mandatory: true, msg: amqp.Publishing{MessageId: "b"}}
	if err := b.publishOver(ctx, nowhere, one); !errors.Is(err, errNoRoute) {
		t.Errorf("without a queue: %v", err)
	}
	if err := b.publishOver(ctx, follows, one); !errors.Is(err, errCut) {
		t.Errorf("what follows a return is answered with %v, want another try", err)
	}
	if err := b.publishBy(ctx, o, "", there.Name, true, follows.msg); err != nil {
		t.Error(err)
	}
	awaitOver(t, one)
	if publisher() == one {
		t.Error("it is used again")
	}
}

func TestAChannelThatNobodyUsesIsClosed(t *testing.T) {
	o := newStreamOutlet()
	o.idle = 50 * time.Millisecond
	_, publisher := openOutlet(t, o)
	one := publisher()
	awaitOver(t, one)
	if publisher() == one {
		t.Error("it is used again")
	}
}

// A stream that somebody removed begins anew to count, and so do the channels.
func TestAStreamThatIsDeclaredAgainGetsAnotherChannel(t *testing.T) {
	b, _ := openOutlet(t, newStreamOutlet())
	b.names.event, b.names.prefix = "outlet-test.event", "outlet-test"
	ctx := t.Context()
	remove := func() {
		_, err := ask(ctx, b, func(ch *amqp.Channel) (int, error) {
			return ch.QueueDelete(b.names.outcomeStream(0), false, false, false)
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := b.ensureStream(ctx, 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		remove()
		if _, err := ask(ctx, b, func(ch *amqp.Channel) (int, error) { return 0, ch.ExchangeDelete(b.names.event, false, false) }); err != nil {
			t.Error(err)
		}
	}()
	one, err := b.streams[0].publisher(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	remove()
	b.setup.reset()
	if err := b.ensureStream(ctx, 0); err != nil {
		t.Fatal(err)
	}
	awaitOver(t, one)
}
