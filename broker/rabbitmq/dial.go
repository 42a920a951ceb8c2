package rabbitmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// heartbeat is how often both sides say that they are alive.
	heartbeat = 10 * time.Second
	// handshakeTime is how long a try to connect may take.
	handshakeTime = 10 * time.Second
	// writeTime is how long the broker may take nothing before the connection
	// counts as dead.
	writeTime = 20 * time.Second
)

// address is where a broker is, and how to get in.
type address struct {
	amqp.URI
}

// parseURLs reads the addresses in s. Its errors do not repeat s, which may
// have a password.
func (c Config) parseURLs() ([]address, error) {
	var out []address
	bare := false // an address before had no credentials
	for s := range strings.SplitSeq(c.URL, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		scheme, rest, ok := strings.Cut(s, "://")
		if !ok {
			scheme, rest = "amqp", s
		}
		// What would be taken for something else than was meant might be shown.
		where, more := rest, ""
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			where, more = rest[:end], rest[end:]
		}
		credentials := strings.Contains(where, "@")
		broken := strings.Contains(more, "@") || bare && credentials && !ok
		bare = bare || !credentials
		s = scheme + "://" + rest
		if other(scheme) {
			return nil, fmt.Errorf("rabbitmq: address %d of the URL begins with %s://; want amqp:// or, with TLS, amqps://", len(out)+1, scheme)
		}
		uri, err := amqp.ParseURI(s)
		if err != nil || broken {
			return nil, fmt.Errorf("rabbitmq: address %d of the URL cannot be read; want amqp://user:password@host:port/vhost or amqps://…, with reserved characters and commas in the user, password and vhost percent-encoded", len(out)+1)
		}
		if (c.User != "" || c.Password != "") && !strings.Contains(s, "@") {
			uri.Username, uri.Password = c.User, c.Password
		}
		if _, err := mechanisms(uri); err != nil {
			return nil, err
		}
		out = append(out, address{uri})
	}
	if len(out) == 0 {
		return nil, errors.New("rabbitmq: the URL has no address")
	}
	return out, nil
}

// other says whether a scheme is one, but not ours. What is not shown may be part
// of a password.
func other(scheme string) bool {
	switch scheme := strings.ToLower(scheme); {
	case scheme == "amqp", scheme == "amqps", scheme == "", len(scheme) > 8:
		return false
	default:
		return strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz") == ""
	}
}

func (a address) hostPort() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// String is the address without credentials.
func (a address) String() string {
	vhost := a.Vhost
	if vhost != "/" {
		vhost = "/" + vhost
	}
	return a.Scheme + "://" + a.hostPort() + vhost
}

func mechanisms(uri amqp.URI) ([]amqp.Authentication, error) {
	asked := uri.AuthMechanism
	if len(asked) == 0 {
		asked = []string{"plain"}
	}
	var out []amqp.Authentication
	for _, m := range asked {
		switch strings.ToUpper(m) {
		case "PLAIN":
			out = append(out, uri.PlainAuth())
		case "EXTERNAL":
			out = append(out, &amqp.ExternalAuth{})
		default:
			return nil, fmt.Errorf("rabbitmq: auth_mechanism %q; want plain or external", m)
		}
	}
	return out, nil
}

// outspoken is an Authentication after which the broker says so when it refuses
// the credentials, rather than close the connection without a word as if it had
// broken.
type outspoken struct {
	amqp.Authentication
	properties amqp.Table // of the client; the library puts the capabilities in
}

func (o outspoken) Response() string {
	if c, ok := o.properties["capabilities"].(amqp.Table); ok {
		c["authentication_failure_close"] = true
	}
	return o.Authentication.Response()
}

// tlsConfig reads the certificate files. URLs may name them too.
func (c Config) tlsConfig(uri amqp.URI) (*tls.Config, error) {
	cfg := c.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.ServerName == "" {
		cfg.ServerName = first(uri.ServerName, uri.Host)
	}
	if file := first(c.CAFile, uri.CACertFile); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("rabbitmq: read CAFile: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("rabbitmq: CAFile %s has no certificate in PEM", file)
		}
	}
	certFile, keyFile := first(c.CertFile, uri.CertFile), first(c.KeyFile, uri.KeyFile)
	if certFile != "" && keyFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("rabbitmq: read CertFile and KeyFile: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

func first(s ...string) string {
	if i := slices.IndexFunc(s, func(s string) bool { return s != "" }); i >= 0 {
		return s[i]
	}
	return ""
}

// dial makes one connection. It ends with ctx.
func (c Config) dial(ctx context.Context, a address, role string) (*amqp.Connection, net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	raw, err := dial(ctx, "tcp", a.hostPort())
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	conn := raw
	if a.Scheme == "amqps" {
		cfg, err := c.tlsConfig(a.URI)
		if err == nil {
			secure := tls.Client(conn, cfg)
			conn, err = secure, secure.HandshakeContext(ctx)
		}
		if err != nil {
			_ = raw.Close() // the handshake's error tells more
			return nil, nil, greetingError(err, nil)
		}
	}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(c.Name + " (" + role + ")")
	auth, err := mechanisms(a.URI)
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	for i := range auth {
		auth[i] = outspoken{auth[i], properties}
	}
	s := newSieve(impatient{conn})
	ac, err := amqp.Open(s, amqp.Config{
		SASL: auth, Vhost: a.Vhost, Heartbeat: heartbeat, Properties: properties, Locale: "en_US",
		ChannelMax: a.ChannelMax, FrameSize: frameSize,
	})
	if err != nil {
		_ = raw.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, greetingError(err, s)
	}
	return ac, raw, nil
}

// frameSize is what RabbitMQ takes by default. Headers travel in one frame.
const frameSize = 131072

// impatient is a connection that fails when the other side takes nothing. A write
// that fails gives errCut: the library hands it on to whoever writes, often
// before anything else shows that the connection is lost.
type impatient struct{ net.Conn }

func (c impatient) Write(p []byte) (int, error) {
	err := c.SetWriteDeadline(time.Now().Add(writeTime))
	n := 0
	if err == nil {
		n, err = c.Conn.Write(p)
	}
	if err != nil {
		return n, fmt.Errorf("%w: %w", errCut, err)
	}
	return n, nil
}

// refused says whether the broker knows us and does not let us in, or is none,
// which no other try will change.
func refused(err error) bool {
	var e *amqp.Error
	return errors.Is(err, errForeign) || errors.As(err, &e) && e.Server && (e.Code == amqp.AccessRefused || e.Code == amqp.NotAllowed)
}

// hint says what to look at, for people.
func hint(err error) string {
	var e *amqp.Error
	switch {
	case !errors.As(err, &e) || !e.Server:
		return ""
	case e.Code == amqp.AccessRefused:
		return " (check the user and the password; the user guest may connect from the broker's own machine only)"
	case e.Code == amqp.NotAllowed:
		return " (check the virtual host, which is the path of the URL, and the user's permissions there)"
	}
	return ""
}
