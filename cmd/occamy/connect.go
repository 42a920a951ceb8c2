package main

import (
	"context"
	"errors"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

const (
	defaultAddress  = "nats://127.0.0.1:4222"
	embeddedAddress = "embedded"
)

// brokerKind is one of the brokers that the command knows.
type brokerKind struct {
	name    string // for people
	schemes []string
	useless []string // settings that mean nothing to it
	instead string   // what to give in their place
	plain   string   // the scheme with which there is no TLS; "" where the settings decide
	open    func(ctx context.Context, c connection) (broker.Broker, error)

	obstacles func(settings) []obstacle // known to this broker alone
}

func brokerKinds() []brokerKind {
	return []brokerKind{
		{
			name: "NATS", schemes: []string{"nats", "tls"}, open: openNATS,
			useless: []string{"queue-type"},
			instead: "leave it out; --replicas says on how many servers NATS keeps a message",
			obstacles: func(s settings) []obstacle {
				return []obstacle{
					refusedCredentials(anyOf(natsgo.ErrAuthorization, natsgo.ErrAuthExpired, natsgo.ErrAuthRevoked, natsgo.ErrAccountAuthExpired, natsgo.ErrNkeysNotSupported), s),
					{anyOf(natsgo.ErrSecureConnWanted), "it does not offer TLS", "without TLS the address begins with nats:// and there is no --tls-…"},
					{anyOf(natsgo.ErrSecureConnRequired), "it demands TLS", "the address begins with tls://"},
				}
			},
		},
		{
			name: "RabbitMQ", schemes: []string{"amqp", "amqps"}, plain: "amqp", open: openRabbitMQ,
			useless: []string{"token", "token-file", "creds", "nkey", "inbox-prefix", "replicas"},
			instead: "RabbitMQ takes --user and --password-file, or a certificate; a quorum queue has its own replicas",
			obstacles: func(s settings) []obstacle {
				refused := refusedCredentials(refusedBy(amqp.AccessRefused), s)
				if s.User == "" && !hasCredentials(s.Broker) {
					refused.says = "it refuses the user guest, who counts where no other is given"
				}
				refused.hint += "; the user guest may come from the broker's own machine only"
				return []obstacle{
					refused,
					{refusedBy(amqp.NotAllowed), "it does not let this user into the virtual host", "the path of the address is the virtual host; the broker's operator grants permissions there"},
					{anyOf(amqp.ErrSASL), "it takes no password", "auth_mechanism=external in the address uses the certificate of --tls-cert"},
				}
			},
		},
	}
}

// connection is what is needed to reach a broker. Its settings agree, and
// Password and Token are there when they stand in a file too.
type connection struct {
	settings
	kind brokerKind
	link *link // is told what becomes of the connection; nil: nobody is
}

// settle returns the settings that count: those of the flags, then of the
// environment, then of a config file.
func (a *app) settle(flags, file settings) (settings, error) {
	environment, err := a.settingsFromEnvironment()
	if err != nil {
		return settings{}, err
	}
	s := flags.or(environment).or(file)
	return s, s.check()
}

// connection makes a connection of settings, with the secrets that files have.
func (a *app) connection(s settings) (connection, error) {
	kind, err := checkAddress(s.Broker)
	if err != nil {
		return connection{}, err
	}
	if err := s.refuse(kind.name, kind.instead, kind.useless...); err != nil {
		return connection{}, err
	}
	if kind.plain != "" && strings.HasPrefix(s.Broker, kind.plain+"://") {
		if err := s.refuse(kind.plain+"://, which is not encrypted", "the address begins with "+kind.plain+"s://", "tls-ca", "tls-cert", "tls-key"); err != nil {
			return connection{}, err
		}
	}
	if err := a.readSecrets(&s); err != nil {
		return connection{}, err
	}
	return connection{settings: s, kind: kind}, nil
}

// dial connects to a broker within connectTimeout.
func (a *app) dial(ctx context.Context, c connection) (broker.Broker, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	b, err := a.connect(ctx, c)
	if err == nil {
		return b, nil
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return nil, errInterrupted
	}
	return nil, unreachable(c, err)
}

// connect opens a connection.
func connect(ctx context.Context, c connection) (broker.Broker, error) { return c.kind.open(ctx, c) }

func openNATS(ctx context.Context, c connection) (broker.Broker, error) {
	cfg := nats.Config{
		URL: c.Broker, Prefix: c.Prefix, InboxPrefix: c.InboxPrefix, Replicas: c.Replicas, NoCreate: c.NoCreate, OnError: c.link.failed,
		User: c.User, Password: c.Password, Token: c.Token, CredsFile: c.Creds, NKeyFile: c.NKey,
		CAFile: c.TLSCA, CertFile: c.TLSCert, KeyFile: c.TLSKey,
		Options: []natsgo.Option{
			natsgo.DisconnectErrHandler(func(_ *natsgo.Conn, err error) { c.link.lost(err) }),
			natsgo.ReconnectHandler(func(*natsgo.Conn) { c.link.back() }),
		},
	}
	if c.PasswordFile != "" {
		cfg.Password, cfg.PasswordFile = "", c.PasswordFile // it may change
	}
	if c.TokenFile != "" {
		cfg.Token, cfg.TokenFile = "", c.TokenFile
	}
	return natsOpen(ctx, cfg)
}

func openRabbitMQ(ctx context.Context, c connection) (broker.Broker, error) {
	b, err := rabbitmq.Open(ctx, rabbitmq.Config{
		URL: c.Broker, Prefix: c.Prefix, QueueType: rabbitmq.QueueType(c.QueueType), Declared: c.NoCreate, OnError: c.link.failed,
		User: c.User, Password: c.Password, CAFile: c.TLSCA, CertFile: c.TLSCert, KeyFile: c.TLSKey,
		OnLink: func(err error) {
			if err == nil {
				c.link.back()
			} else {
				c.link.lost(err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// refusedBy is an obstacle's is: RabbitMQ closed the connection with this code.
func refusedBy(code int) func(error) bool {
	return func(err error) bool {
		var e *amqp.Error
		return errors.As(err, &e) && e.Server && e.Code == code
	}
}

// natsOpen is nats.Open, which does not return a nil that is not one.
func natsOpen(ctx context.Context, c nats.Config) (broker.Broker, error) {
	b, err := nats.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return b, nil
}
