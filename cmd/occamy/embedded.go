package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

const (
	defaultListen = "127.0.0.1:4222"

	// closeTimeout bounds how long the embedded broker has to end.
	closeTimeout = 10 * time.Second
)

// connect connects to a broker. tell, which may be nil, is told when the
// connection is lost and when it is back.
func connect(ctx context.Context, address string, tell func(error)) (broker.Broker, error) {
	c := nats.Config{URL: address, OnError: tell}
	if tell != nil {
		c.Options = []natsgo.Option{natsgo.ReconnectHandler(func(*natsgo.Conn) { tell(errors.New("the connection to the broker is back")) })}
	}
	return open(ctx, c)
}

// open is nats.Open, which does not return a nil that is not one.
func open(ctx context.Context, c nats.Config) (broker.Broker, error) {
	b, err := nats.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// openForServe connects to the broker that serve is told to use, or starts it.
func (a *app) openForServe(ctx context.Context, c serveConfig) (broker.Broker, error) {
	if c.Broker == "embedded" {
		return a.startEmbedded(ctx, c)
	}
	if err := checkAddress(c.Broker); err != nil {
		return nil, err
	}
	if c.DataDir != "" || c.User != "" || c.Password != "" || c.Token != "" {
		return nil, usage("--data-dir and credentials are those of the embedded broker", "leave them out, or --broker; credentials for a NATS server are part of its address")
	}
	return a.dial(ctx, c.Broker, a.recordError)
}

// startEmbedded starts a broker in this process. It ends when the connection to
// it is closed.
func (a *app) startEmbedded(ctx context.Context, c serveConfig) (broker.Broker, error) {
	ec, err := a.embeddedConfig(c)
	if err != nil {
		return nil, err
	}
	server, err := embedded.Start(ec)
	if err != nil {
		return nil, hinted(err, embeddedHint(err))
	}
	b, err := open(ctx, nats.Config{URL: server.URL(), Options: server.InProcess(), OnError: a.recordError})
	if err != nil {
		return nil, errors.Join(err, end(server))
	}
	return &hosted{b, server}, nil
}

func (a *app) embeddedConfig(c serveConfig) (embedded.Config, error) {
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
				a.note("broker: "+text, "")
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
		return `the --config file takes "user" and "password", or "token"`
	default:
		return ""
	}
}

// hosted is the connection to a broker in this process.
type hosted struct {
	broker.Broker
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
