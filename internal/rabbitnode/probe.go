//go:build unix

package rabbitnode

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"
)

// Answers is nil when a broker at an AMQP URL greets and takes the login (guest
// where the URL has none). It takes no more than 5 s, and less when ctx ends
// first. Its errors do not show the URL, which may hold a password.
func Answers(ctx context.Context, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "amqp" && u.Scheme != "amqps" {
		return errors.New("not an AMQP URL (amqp://HOST:PORT or amqps://…)")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := dial(ctx, u)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	user, password := "guest", "guest"
	if u.User != nil {
		user = u.User.Username()
		password, _ = u.User.Password()
	}
	return login(conn, user, password)
}

func dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "amqps":
		port = "5671"
	default:
		port = "5672"
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "amqps" {
		return new(tls.Dialer).DialContext(ctx, "tcp", addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// Methods of the class connection in AMQP 0-9-1.
const (
	connectionStart   = 10<<16 | 10
	connectionStartOK = 10<<16 | 11
	connectionTune    = 10<<16 | 30
)

// login goes as far into the handshake of AMQP 0-9-1 as it takes to know that
// the broker has let us in.
func login(conn io.ReadWriter, user, password string) error {
	if _, err := conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return err
	}
	if err := expect(conn, connectionStart); err != nil {
		return fmt.Errorf("no greeting of AMQP 0-9-1: %w", err)
	}
	secret := "\x00" + user + "\x00" + password
	args := binary.BigEndian.AppendUint32(nil, connectionStartOK)
	args = binary.BigEndian.AppendUint32(args, 0) // no client properties
	args = append(args, "\x05PLAIN"...)
	args = binary.BigEndian.AppendUint32(args, uint32(len(secret)))
	args = append(args, secret...)
	args = append(args, "\x05en_US"...)
	frame := append([]byte{1, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(len(args)))...)
	frame = append(append(frame, args...), 0xCE)
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	if err := expect(conn, connectionTune); err != nil {
		return fmt.Errorf("the login is refused: %w", err)
	}
	return nil
}

// expect reads one frame, which is to be the method.
func expect(r io.Reader, method uint32) error {
	var head [11]byte // type, channel, size; class and method
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if head[0] != 1 || binary.BigEndian.Uint32(head[7:]) != method {
		return fmt.Errorf("it says % x", head)
	}
	rest := int64(binary.BigEndian.Uint32(head[3:])) - 4 + 1
	_, err := io.CopyN(io.Discard, r, rest)
	return err
}
