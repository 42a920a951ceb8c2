package nats

import (
	"crypto/tls"
	"errors"
	"fmt"
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
	// Streams that are there already are left as they are.
	Replicas int

	// NoCreate leaves streams and consumers to an operator, for accounts
	// without the right to create them. One that is missing is an ErrMissing,
	// which says what to create.
	NoCreate bool

	// Credentials: one kind of them at most, as a value or as a file, which
	// is read anew for each connection. A user and a password, or a token, may
	// also be in the URL, which goes first; there, special characters are
	// written as %2F and the like.
	User, Password, PasswordFile string
	Token, TokenFile             string
	NKey, NKeyFile               string // the seed of a user's NKey
	Creds, CredsFile             string // a user's JWT and its seed, as NATS's tools write them

	// CAFile has the certificates (PEM) that the NATS server's is checked
	// with. Empty: those of the system. CertFile and KeyFile, which belong
	// together, are the client's own, for mutual TLS. They are read anew for
	// each connection. With any of them, with TLS set, or with a URL tls://…,
	// there is no connection without TLS; without, it is used where the NATS
	// server requires it.
	CAFile, CertFile, KeyFile string

	// TLS is what is to be used besides. Nil: what Go has by default, from
	// TLS 1.2 on.
	TLS *tls.Config

	// InboxPrefix begins the subjects to which answers come, so that an
	// account can be kept from reading those of others. Empty: "_INBOX".
	InboxPrefix string

	// Background has Open return before the first connection is made, which
	// is then tried without end.
	Background bool

	// Options are applied to the connection after all others.
	Options []natsgo.Option

	// OnError is told of what goes wrong in the background, from any
	// goroutine; it does not block. Nil: nobody is.
	OnError func(error)
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
	errs = append(errs, c.checkURLs(), c.checkCredentials())
	c.Keys = c.Keys.WithDefaults()
	for _, f := range []struct {
		name            string
		value           *time.Duration
		preset, atLeast time.Duration
	}{
		{"AckWait", &c.AckWait, 30 * time.Second, minAckWait},
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
	if tell := c.OnError; tell == nil {
		c.OnError = func(error) {}
	} else {
		clean := c
		c.OnError = func(err error) { tell(clean.scrub(err)) }
	}
	if err := errors.Join(errs...); err != nil {
		return c, n, c.scrub(fmt.Errorf("nats: invalid config: %w", err))
	}
	return c, n, nil
}
