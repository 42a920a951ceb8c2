package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

const (
	defaultListen = "127.0.0.1:4222"

	// closeTimeout bounds how long the embedded broker has to end.
	closeTimeout = 10 * time.Second
)

// openForServe connects to the broker that serve is told to use, or starts it.
// l is told what becomes of the connection.
func (a *app) openForServe(ctx context.Context, c serveConfig, l *link) (broker.Broker, error) {
	if c.Broker != embeddedAddress {
		conn, err := a.connection(c.settings)
		if err != nil {
			return nil, err
		}
		conn.link = l
		b, err := a.dial(ctx, conn)
		if err == nil {
			l.open(b.Name())
		}
		return b, err
	}
	if err := c.refuse("the embedded broker", "it asks for a user and a password, or a token, and keeps one copy",
		"creds", "nkey", "tls-ca", "tls-cert", "tls-key", "inbox-prefix", "replicas", "queue-type", "no-create"); err != nil {
		return nil, err
	}
	if err := a.readSecrets(&c.settings); err != nil {
		return nil, err
	}
	return a.startEmbedded(ctx, c, l)
}

// startEmbedded starts a broker in this process. It ends when the connection to
// it is closed.
func (a *app) startEmbedded(ctx context.Context, c serveConfig, l *link) (broker.Broker, error) {
	ec, err := a.embeddedConfig(c, l.background)
	if err != nil {
		return nil, err
	}
	server, err := embedded.Start(ec)
	if err != nil {
		return nil, hinted(err, embeddedHint(err))
	}
	b, err := nats.Open(ctx, nats.Config{URL: server.URL(), Prefix: c.Prefix, Options: server.InProcess(), OnError: l.failed})
	if err != nil {
		return nil, errors.Join(err, end(server))
	}
	l.open(server.URL())
	return &hosted{b, server}, nil
}

func (a *app) embeddedConfig(c serveConfig, tell func(string)) (embedded.Config, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	var number int
	if err == nil {
		number, err = strconv.Atoi(port)
	}
	if err != nil || number < 0 || number > 65535 {
		return embedded.Config{}, usage("cannot listen on "+quote(c.Listen), "--listen wants HOST:PORT, for instance "+defaultListen)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	if number == 0 {
		number = embedded.AnyPort
	}
	dir := c.DataDir
	if dir == "" {
		dir = a.defaultDataDir()
	}
	if dir == "" {
		return embedded.Config{}, usage("no data directory for the embedded broker", "--data-dir names one")
	}
	return embedded.Config{
		Dir: dir, Host: host, Port: number, RelaxSync: !*c.Sync,
		User: c.User, Password: c.Password, Token: c.Token, MaxPayload: c.MaxPayload,
		Log: func(level embedded.Level, text string) {
			if level >= embedded.Error {
				tell("broker: " + text)
			}
		},
	}, nil
}

// defaultDataDir is where the user's programs keep data; "" when that is not
// known.
func (a *app) defaultDataDir() string {
	for _, place := range []struct{ variable, below string }{
		{"XDG_DATA_HOME", ""},
		{"LOCALAPPDATA", ""},
		{"HOME", filepath.Join(".local", "share")},
	} {
		if base := a.getenv(place.variable); filepath.IsAbs(base) {
			return filepath.Join(base, place.below, "occamy")
		}
	}
	return ""
}

func embeddedHint(err error) string {
	switch {
	case errors.Is(err, embedded.ErrInUse):
		return "is another 'occamy serve' running? --broker joins it, --data-dir names another directory"
	case errors.Is(err, embedded.ErrDir):
		return "--data-dir names another directory"
	case errors.Is(err, embedded.ErrPort):
		return "is another 'occamy serve' running? --broker joins it, --listen names another address"
	case errors.Is(err, embedded.ErrUnsafe):
		return "--user and --password-file, or --token-file, say what to ask of every client"
	default:
		return ""
	}
}

// hosted is the connection to a broker in this process.
type hosted struct {
	*nats.Broker
	server *embedded.Server
}

// Name is the address at which other processes reach the broker.
func (h *hosted) Name() string { return h.server.URL() }

// Close closes the connection and ends the broker.
func (h *hosted) Close() error { return errors.Join(h.Broker.Close(), end(h.server)) }

func end(server *embedded.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return server.Shutdown(ctx)
}
