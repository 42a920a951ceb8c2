package nats

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
)

// Config says how to reach a NATS server and what to keep there. Zero values
// are useful. Servers and clients that work together use the same Prefix and
// Keys. What concerns streams and consumers counts for whoever creates them;
// later it is changed with NATS's own tools.
type Config struct {
	// URL of the NATS server, or several of a cluster with commas between.
	// Empty: nats://127.0.0.1:4222.
	URL string

	// Name is the connection's name, for those who watch the NATS server.
	// Empty: "occamy".
	Name string

	// Prefix sets apart worlds that share a NATS server: 1 to 32 of a-z, 0-9,
	// - and _. Empty: "occamy".
	Prefix string

	// Keys are the header keys; servers and clients must use the same. Zero:
	// the defaults.
	Keys occamy.HeaderKeys

	// AckWait is how long the lease of a request lasts without a keep-alive,
	// that is, how long after the death of a server its requests go on
	// elsewhere. Zero: 30 s; at least 100 ms.
	AckWait time.Duration

	// MaxDeliver is how many deliveries of a request may be lost, by a crash
	// of their server or the end of their lease, before it becomes a dead
	// letter. Requeues do not count. Zero: 5.
	MaxDeliver int

	// OutcomeAge is how long outcomes are kept. Zero: 24 h.
	OutcomeAge time.Duration

	// ProgressAge is how long progress is kept after its last report, should
	// its request never be settled. Zero: 7 days.
	ProgressAge time.Duration

	// Replicas is how many servers of a cluster keep each message. Zero: 1.
	Replicas int

	// User and Password, or Token, or the files CredsFile (a JWT and its
	// seed) or NKeyFile (a seed), are the credentials. They may also be in
	// the URL.
	User, Password, Token string
	CredsFile, NKeyFile   string

	// TLS is used where it is set, and where the NATS server requires it.
	TLS *tls.Config

	// Background has Open return before the first connection is made, which
	// is then tried without end.
	Background bool

	// Options are applied to the connection after all others.
	Options []natsgo.Option

	// OnError is told of what goes wrong in the background, from any
	// goroutine; it does not block. Nil: nobody is.
	OnError func(error)
}

func splitURLs(s string) []string {
	var urls []string
	for u := range strings.SplitSeq(s, ",") {
		if u = strings.TrimSpace(u); u != "" {
			urls = append(urls, u)
		}
	}
	return urls
}

func (c Config) withDefaults() (Config, names, error) {
	var errs []error
	if c.URL == "" {
		c.URL = natsgo.DefaultURL
	}
	if c.Name == "" {
		c.Name = "occamy"
	}
	if c.Prefix == "" {
		c.Prefix = "occamy"
	}
	n, err := newNames(c.Prefix)
	errs = append(errs, err)
	c.Keys = c.Keys.WithDefaults()
	for _, f := range []struct {
		name            string
		value           *time.Duration
		preset, atLeast time.Duration
	}{
		{"AckWait", &c.AckWait, 30 * time.Second, 100 * time.Millisecond},
		{"OutcomeAge", &c.OutcomeAge, 24 * time.Hour, time.Second},
		{"ProgressAge", &c.ProgressAge, 7 * 24 * time.Hour, time.Second},
	} {
		if *f.value == 0 {
			*f.value = f.preset
		}
		if *f.value < f.atLeast {
			errs = append(errs, fmt.Errorf("%s is %v; want 0 (%v) or at least %v", f.name, *f.value, f.preset, f.atLeast))
		}
	}
	for _, f := range []struct {
		name   string
		value  *int
		preset int
	}{{"MaxDeliver", &c.MaxDeliver, 5}, {"Replicas", &c.Replicas, 1}} {
		if *f.value == 0 {
			*f.value = f.preset
		}
		if *f.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %d; want 0 (%d) or more", f.name, *f.value, f.preset))
		}
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	if err := errors.Join(errs...); err != nil {
		return c, n, fmt.Errorf("nats: invalid config: %w", err)
	}
	return c, n, nil
}

// connection returns the options of the connection, without handlers.
func (c Config) connection() (natsgo.Options, error) {
	o := natsgo.GetDefaultOptions()
	options := []natsgo.Option{
		func(o *natsgo.Options) error { o.Servers = splitURLs(c.URL); return nil },
		natsgo.Name(c.Name),
		natsgo.MaxReconnects(-1),
		natsgo.CustomReconnectDelay(reconnectDelay),
		natsgo.RetryOnFailedConnect(true),
		// What cannot be sent now is not kept by the client: who sends it
		// knows when to try again, and whether that still makes sense.
		natsgo.ReconnectBufSize(-1),
		natsgo.PingInterval(10 * time.Second),
		natsgo.MaxPingsOutstanding(2),
	}
	if c.User != "" || c.Password != "" {
		options = append(options, natsgo.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		options = append(options, natsgo.Token(c.Token))
	}
	if c.CredsFile != "" {
		options = append(options, natsgo.UserCredentials(c.CredsFile))
	}
	if c.NKeyFile != "" {
		nkey, err := natsgo.NkeyOptionFromSeed(c.NKeyFile)
		if err != nil {
			return o, fmt.Errorf("nats: read NKeyFile: %w", err)
		}
		options = append(options, nkey)
	}
	if c.TLS != nil {
		options = append(options, natsgo.Secure(c.TLS))
	}
	for _, apply := range append(options, c.Options...) {
		if apply == nil {
			continue
		}
		if err := apply(&o); err != nil {
			return o, fmt.Errorf("nats: connection option: %w", err)
		}
	}
	return o, nil
}
