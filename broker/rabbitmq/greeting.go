package rabbitmq

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
)

var (
	// errForeign: what answers is no AMQP broker, or not by this scheme.
	errForeign = errors.New("what answers there is not RabbitMQ's port for AMQP (5672 by default, with TLS 5671)")
	// errMute: it took the connection and says nothing.
	errMute = errors.New("no answer; is that RabbitMQ's port for AMQP (5672 by default, with TLS 5671)?")
)

// foreign says what begins to speak where an AMQP broker should; nil for one.
func foreign(first []byte) error {
	const (
		methodFrame  = 1
		tlsAlert     = 21
		tlsHandshake = 22
	)
	switch {
	case first[0] == methodFrame:
		return nil
	case first[0] == tlsAlert || first[0] == tlsHandshake:
		return fmt.Errorf("%w: it wants TLS; use amqps://", errForeign)
	case bytes.HasPrefix(first, []byte("AMQP")):
		return fmt.Errorf("%w: it takes another version of AMQP than 0-9-1", errForeign)
	case bytes.HasPrefix(first, []byte("INFO ")):
		return fmt.Errorf("%w: it is a NATS server, whose URL begins with nats://", errForeign)
	case bytes.HasPrefix(first, []byte("HTTP/")):
		return fmt.Errorf("%w: it is a web server", errForeign)
	}
	return fmt.Errorf("%w: it begins with %q", errForeign, first)
}

// greetingError is the clearest word for a handshake that failed with err.
func greetingError(err error, s *sieve) error {
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &plain):
		return fmt.Errorf("%w: it speaks no TLS; use amqp:// (%w)", errForeign, err)
	case s == nil:
	case s.foreign.Load() != nil:
		return *s.foreign.Load()
	case !s.spoke.Load():
		return fmt.Errorf("%w (%w)", errMute, err)
	}
	return err
}
