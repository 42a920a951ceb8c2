package nats

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	natsgo "github.com/nats-io/nats.go"
)

// advised adds to an error of JetStream's API what to do about it.
func (b *Broker) advised(err error) error {
	var advice string
	switch {
	case isCode(err, codeNoPeers, codeNoReplicas):
		advice = fmt.Sprintf("Replicas is %d, and the NATS cluster has fewer servers with room for it: "+
			"start more of them, or set Replicas to what there is", b.cfg.Replicas)
	case errors.Is(err, natsgo.ErrPermissionViolation):
		advice = "give the account that right (the package comment lists what is needed), or, to create nothing, set NoCreate"
	default:
		return err
	}
	return fmt.Errorf("%w; %s", err, advice)
}

// refused adds to an error of the connection what to do about it. final is
// true for what only a change of the configuration can overcome, here or at the
// NATS server.
func (c Config) refused(err error) (advised error, final bool) {
	advice := c.adviceOnCredentials(err)
	if advice == "" {
		advice = adviceOnTLS(err)
	}
	if advice == "" {
		return c.scrub(err), false
	}
	return c.scrub(fmt.Errorf("%w; %s", err, advice)), true
}

func (c Config) adviceOnCredentials(err error) string {
	has := ""
	switch {
	case c.User != "":
		has = "User and Password"
	case c.Token != "" || c.TokenFile != "":
		has = "Token"
	case c.NKey != "" || c.NKeyFile != "":
		has = "NKey"
	case c.Creds != "" || c.CredsFile != "":
		has = "Creds"
	case strings.Contains(c.URL, "@"):
		has = "the credentials in the URL"
	}
	switch {
	case errors.Is(err, natsgo.ErrAuthorization) && has == "":
		return "the NATS server asks for credentials, and none are set: set User and Password, Token, NKey or Creds, or their files"
	case errors.Is(err, natsgo.ErrAuthorization):
		return "the NATS server does not take " + has + ": see that they are those of an account there"
	case errors.Is(err, natsgo.ErrAuthExpired), errors.Is(err, natsgo.ErrAuthRevoked), errors.Is(err, natsgo.ErrAccountAuthExpired):
		return "have new credentials made"
	case errors.Is(err, natsgo.ErrNkeysNotSupported):
		return "the NATS server knows no NKeys and no JWTs: set them up there, or use other credentials"
	}
	return ""
}

func adviceOnTLS(err error) string {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case errors.Is(err, natsgo.ErrSecureConnWanted):
		return "TLS is asked for here, and the NATS server offers none: set it up there, or leave CAFile, CertFile, TLS and tls:// out"
	case errors.As(err, &authority):
		return "set CAFile to the certificate of the authority that signed the NATS server's"
	case errors.As(err, &host):
		return "use an address in URL for which the NATS server's certificate was made"
	case errors.As(err, &invalid):
		return "have a new certificate made for the NATS server"
	case errors.As(err, &record):
		return "what answers at the address does not speak TLS: see that it is a NATS server with TLS"
	case errors.As(err, &op) && op.Op == "remote error":
		return "the NATS server wants a certificate of a client's that it trusts: set CertFile and KeyFile"
	}
	return ""
}

// secrets are the texts that nothing may show.
func (c Config) secrets() []string {
	all := []string{c.Password, c.Token, c.NKey}
	for _, text := range splitURLs(c.URL) {
		u, err := url.Parse(text)
		if err != nil || u.User == nil {
			continue
		}
		_, escaped, _ := strings.Cut(u.User.String(), ":")
		password, ok := u.User.Password()
		if !ok {
			password, escaped = u.User.Username(), u.User.String()
		}
		all = append(all, password, escaped)
	}
	for _, file := range []string{c.PasswordFile, c.TokenFile, c.NKeyFile} {
		if file != "" {
			text, _ := readSecret("", file) // what cannot be read is shown by nobody
			all = append(all, text)
		}
	}
	creds := c.Creds
	if c.CredsFile != "" {
		creds, _ = readSecret("", c.CredsFile) // as above
	}
	for word := range strings.FieldsSeq(creds) {
		if len(word) > 40 {
			all = append(all, word) // the JWT and the seed
		}
	}
	return all
}

// scrubbed is an error without the secrets that were in its text. It does not
// lead to the one that has them.
type scrubbed struct {
	text string
	err  error
}

func (s *scrubbed) Error() string        { return s.text }
func (s *scrubbed) Is(target error) bool { return errors.Is(s.err, target) }
func (s *scrubbed) As(target any) bool   { return errors.As(s.err, target) }

// scrub makes sure that an error shows no secret. A NATS server can put what it
// likes into the text of an error.
func (c Config) scrub(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := text
	for _, secret := range c.secrets() {
		if len(secret) > 2 {
			clean = strings.ReplaceAll(clean, secret, "[secret]")
		}
	}
	if clean == text {
		return err
	}
	return &scrubbed{text: clean, err: err}
}
