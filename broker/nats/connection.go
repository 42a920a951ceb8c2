package nats

import (
	"crypto/tls"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// A peer that says nothing any more is found out by pings: pingInterval times
// the pings that may go unanswered and one more is 12 s. What cannot be
// written makes it longer by flushTimeout at most.
const (
	pingInterval = 4 * time.Second
	pingsOut     = 2
	flushTimeout = 4 * time.Second
)

// connection returns the options of the connection, without handlers.
func (c Config) connection() (natsgo.Options, error) {
	o := natsgo.GetDefaultOptions()
	options := []natsgo.Option{
		func(o *natsgo.Options) error { o.Servers = splitURLs(c.URL); return nil },
		natsgo.Name(c.Name),
		natsgo.MaxReconnects(-1),
		natsgo.RetryOnFailedConnect(true),
		// What cannot be sent now is not kept by the client: who sends it
		// knows when to try again, and whether that still makes sense.
		natsgo.ReconnectBufSize(-1),
		natsgo.PingInterval(pingInterval),
		natsgo.MaxPingsOutstanding(pingsOut),
		natsgo.FlusherTimeout(flushTimeout),
		func(o *natsgo.Options) error { o.ReconnectOnFlusherError = true; return nil },
	}
	if c.InboxPrefix != "" {
		options = append(options, natsgo.CustomInboxPrefix(c.InboxPrefix))
	}
	options = append(options, c.credentials(), c.encryption())
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

// encryption sets TLS. The files are read once now, to see that they are good,
// and anew for each connection.
func (c Config) encryption() natsgo.Option {
	return func(o *natsgo.Options) error {
		if c.TLS != nil {
			if err := natsgo.Secure(c.TLS)(o); err != nil {
				return err
			}
		} else if c.CAFile != "" || c.CertFile != "" || c.KeyFile != "" {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if c.CAFile != "" {
			if err := natsgo.RootCAs(c.CAFile)(o); err != nil {
				return fmt.Errorf("CAFile: %w; want a file of certificates (PEM)", err)
			}
		}
		if c.CertFile != "" || c.KeyFile != "" {
			if err := natsgo.ClientCert(c.CertFile, c.KeyFile)(o); err != nil {
				return fmt.Errorf("CertFile and KeyFile: %w; want a certificate and its key (PEM)", err)
			}
		}
		return nil
	}
}
