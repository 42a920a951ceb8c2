package rabbitmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/occamy-go/occamy"
)

// QueueType is how RabbitMQ keeps a queue.
type QueueType string

// The types of queues that hold requests.
const (
	// Quorum queues are replicated, and count the deliveries that were lost.
	Quorum QueueType = "quorum"
	// Classic queues stand on one node.
	Classic QueueType = "classic"
)

// Config says how to reach RabbitMQ and what to keep there. Zero values are
// useful. Servers and clients that work together use the same Prefix, Names,
// QueueType and Keys. What concerns queues counts for whoever creates them.
type Config struct {
	// URL of the broker, amqp:// or amqps://, or several of a cluster with
	// commas between; they are tried in turn. The path is the virtual host.
	// Empty: amqp://127.0.0.1:5672/.
	URL string

	// Name is the connection's name, for those who watch the broker. Empty:
	// "occamy".
	Name string

	// Prefix sets apart worlds that share a virtual host: 1 to 32 of a-z, 0-9,
	// - and _. Empty: "occamy".
	Prefix string

	// Names are those of the exchanges and queues for requests and dead
	// letters, where they are not to begin with Prefix.
	Names Names

	// Declared says that the exchanges and queues for requests and dead
	// letters are there, with their bindings: Occamy declares none of them,
	// and not what they would be. Where one is missing, whatever needs it
	// returns an error that names it; a Consume that is under way goes on once
	// it is back.
	Declared bool

	// Keys are the header keys; servers and clients must use the same. Zero:
	// the defaults.
	Keys occamy.HeaderKeys

	// QueueType of the queues for requests, dead letters, delays and progress.
	// Empty: Quorum.
	QueueType QueueType

	// MaxDeliver is how many deliveries of a request may be lost, by a crash
	// of their server or the loss of its connection, before it becomes a dead
	// letter. Requeues do not count. Zero: 5.
	MaxDeliver int

	// MaxPayload is the largest body of a message, in bytes; a larger one is
	// refused with occamy.ErrTooLarge. The broker has a limit of its own
	// (max_message_size). Zero: 16 MiB.
	MaxPayload int

	// ConsumerTimeout is how long a request may be with a server (as
	// x-consumer-timeout of its queue, which RabbitMQ obeys from 3.12 on;
	// before that the operator sets consumer_timeout). Zero: 7 days.
	ConsumerTimeout time.Duration

	// OutcomeAge is how long outcomes are kept. Zero: 24 h.
	OutcomeAge time.Duration

	// ProgressAge is how long progress is kept after its last report, should
	// its request never be settled. Zero: 7 days.
	ProgressAge time.Duration

	// User and Password are the credentials where the URL has none. Both
	// empty: guest, or with a client certificate and the URL parameter
	// auth_mechanism=external, what the certificate says.
	User, Password string

	// TLS is used for amqps. Nil: the system's certificates, or those in
	// CAFile.
	TLS *tls.Config

	// CAFile holds the certificates (PEM) of those who may sign the broker's;
	// CertFile and KeyFile those by which the broker knows this client.
	CAFile, CertFile, KeyFile string

	// Dial makes the network connections. Nil: by TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Background has Open return before the first connection is made, which
	// is then tried without end.
	Background bool

	// OnError is told of what goes wrong in the background, from any
	// goroutine; it does not block. Nil: nobody is.
	OnError func(error)

	// OnLink is told when the connection is lost, with the reason, and with
	// nil when it is back; each once, and otherwise as OnError. Nil: nobody is.
	OnLink func(error)
}

func (c Config) withDefaults() (Config, names, error) {
	var errs []error
	if c.URL == "" {
		c.URL = "amqp://127.0.0.1:5672/"
	}
	if c.Name == "" {
		c.Name = "occamy"
	}
	if c.Prefix == "" {
		c.Prefix = "occamy"
	}
	n, err := newNames(c.Prefix, c.Names)
	errs = append(errs, err)
	c.Keys = c.Keys.WithDefaults()
	switch c.QueueType {
	case "":
		c.QueueType = Quorum
	case Quorum, Classic:
	default:
		errs = append(errs, fmt.Errorf("QueueType is %q; want %q or %q", c.QueueType, Quorum, Classic))
	}
	errs = append(errs, c.times()...)
	for _, f := range []struct {
		name         string
		value        *int
		preset, most int
	}{
		{"MaxDeliver", &c.MaxDeliver, 5, 1 << 20},
		{"MaxPayload", &c.MaxPayload, 16 << 20, 512 << 20},
	} {
		if *f.value == 0 {
			*f.value = f.preset
		}
		if *f.value < 0 || *f.value > f.most {
			errs = append(errs, fmt.Errorf("%s is %d; want 0 (%d) or up to %d", f.name, *f.value, f.preset, f.most))
		}
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("CertFile and KeyFile go together"))
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	if c.OnLink == nil {
		c.OnLink = func(error) {}
	}
	if err := errors.Join(errs...); err != nil {
		return c, n, fmt.Errorf("rabbitmq: invalid config: %w", err)
	}
	return c, n, nil
}

func (c *Config) times() (errs []error) {
	for _, f := range []struct {
		name            string
		value           *time.Duration
		preset, atLeast time.Duration
	}{
		{"ConsumerTimeout", &c.ConsumerTimeout, 7 * 24 * time.Hour, time.Second},
		{"OutcomeAge", &c.OutcomeAge, 24 * time.Hour, time.Second},
		{"ProgressAge", &c.ProgressAge, 7 * 24 * time.Hour, time.Second},
	} {
		if *f.value == 0 {
			*f.value = f.preset
		}
		if *f.value < f.atLeast || *f.value > math.MaxInt32*time.Millisecond {
			errs = append(errs, fmt.Errorf("%s is %v; want 0 (%v) or %v to 24 days", f.name, *f.value, f.preset, f.atLeast))
		}
	}
	return errs
}
