package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
)

// obstacle is a reason for which there is no connection, and what to do.
type obstacle struct {
	is   func(error) bool
	says string // "" keeps the error's own words
	hint string
}

// anyOf is an obstacle's is: an error that is one of these.
func anyOf(targets ...error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
}

// ofType is an obstacle's is: an error of a type.
func ofType[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// saying is an obstacle's is: an error with one of these texts, for what has
// neither value nor type.
func saying(texts ...string) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
	}
}

// obstacles are those of the network and of TLS; each broker has its own too.
func obstacles(s settings) []obstacle {
	untrusted := obstacle{ofType[x509.UnknownAuthorityError], "its certificate is of an authority that is not trusted here", "--tls-ca names a file with the authority's certificate"}
	if s.TLSCA != "" {
		untrusted.says = "its certificate is of no authority in " + s.TLSCA + " (tls-ca)"
		untrusted.hint = "--tls-ca or OCCAMY_BROKER_TLS_CA names a file with the certificate of the authority that signed the broker's"
	}
	return []obstacle{
		untrusted,
		{ofType[x509.HostnameError], "", "use a name that the certificate has"},
		{ofType[x509.CertificateInvalidError], "", "the broker's operator renews its certificate"},
		{saying("tls: certificate required", "tls: bad certificate", "tls: unknown certificate", "tls: handshake failure"),
			"it refuses the client's certificate, or wants one", "--tls-cert and --tls-key name one that it trusts"},
		{ofType[tls.RecordHeaderError], "it does not speak TLS at that port", "is it the port for TLS? without TLS the address begins with nats:// or amqp://"},
		{anyOf(syscall.ECONNREFUSED), "nobody listens there", "is the broker up? --broker or OCCAMY_BROKER names another address; 'occamy serve' starts a broker of its own"},
		{ofType[*net.DNSError], "its name is not known", "--broker or OCCAMY_BROKER names another address"},
		{anyOf(context.DeadlineExceeded), fmt.Sprintf("no answer within %v", connectTimeout), "is the broker up, and that the right port? --broker or OCCAMY_BROKER names another address"},
	}
}

// unreachable says why there is no connection to a broker, and what to do.
func unreachable(c connection, err error) error {
	says, hint := oneLine(err), "--broker or OCCAMY_BROKER names another address"
	for _, o := range slices.Concat(c.kind.obstacles(c.settings), obstacles(c.settings)) {
		if o.is(err) {
			hint = o.hint
			if o.says != "" {
				says = o.says
			}
			break
		}
	}
	return hinted(fmt.Errorf("cannot reach the broker at %s: %s", redact(c.Broker), says), hint)
}
