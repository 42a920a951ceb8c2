package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
)

// attack is one way in which a client misuses the port of a broker. Its
// connections are cut by the broker again and again; it makes new ones until it
// has sent its share.
type attack struct {
	name string
	// send writes to a fresh connection until that is closed or enough is sent.
	send func(a *attacker, conn net.Conn) error
}

// attacker carries an attack out.
type attacker struct {
	attack
	address string
	share   int64 // bytes to send
	sent    atomic.Int64
	random  *rand.Rand
	serial  int
}

func (a *attacker) done() bool { return a.sent.Load() >= a.share }

// write sends and counts.
func (a *attacker) write(conn net.Conn, parts ...[]byte) error {
	b := net.Buffers(parts)
	n, err := b.WriteTo(conn)
	a.sent.Add(n)
	return err
}

// run attacks until enough is sent or ctx ends.
func (a *attacker) run(ctx context.Context) error {
	for !a.done() && ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.address)
		if err != nil {
			return fmt.Errorf("%s: nobody answers any more: %w", a.name, err)
		}
		cut := context.AfterFunc(ctx, func() { _ = conn.Close() })
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, conn)
		}()
		_ = a.send(a, conn) // the broker may cut it at any point
		cut()
		_ = conn.Close()
		<-read
	}
	return nil
}

func (a *attacker) garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(a.random.Uint32())
	}
	return b
}

// next is a number that comes once.
func (a *attacker) next() int { a.serial++; return a.serial }

var hello = []byte("CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n")

// headerBlock is n bytes of headers as NATS has them.
func headerBlock(n int) []byte {
	var b bytes.Buffer
	b.WriteString("NATS/1.0\r\n")
	for i := 0; b.Len() < n-64; i++ {
		fmt.Fprintf(&b, "Occamy-Junk-%d: %s\r\n", i, strings.Repeat("x", 400))
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// publisher sends messages with large headers to subjects.
func publisher(subject func(a *attacker) string, headers, body int) func(*attacker, net.Conn) error {
	return func(a *attacker, conn net.Conn) error {
		if err := a.write(conn, hello); err != nil {
			return err
		}
		block, junk := headerBlock(headers), a.garbage(body)
		for !a.done() {
			line := fmt.Sprintf("HPUB %s %d %d\r\n", subject(a), len(block), len(block)+len(junk))
			if err := a.write(conn, []byte(line), block, junk, []byte("\r\n")); err != nil {
				return err
			}
		}
		return nil
	}
}

func to(subjects ...string) func(*attacker) string {
	return func(a *attacker) string { return subjects[a.random.IntN(len(subjects))] }
}

// attacks are what somebody who reaches the port may do without being anybody.
func attacks() []attack {
	return []attack{
		{name: "messages with large headers to nobody", send: publisher(to("nobody.listens"), 900<<10, 1<<10)},
		{name: "messages with large headers to the servers", send: publisher(
			to("occamy.command", "occamy.optional.route", "occamy.control.x", "occamy.servers"), 64<<10, 1<<10)},
		{name: "garbage to JetStream", send: publisher(to(
			"$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.OCCAMY_REQUESTS", "$JS.API.STREAM.MSG.GET.OCCAMY_REQUESTS", "$JS.API.INFO.x",
			"$JS.API.CONSUMER.DURABLE.CREATE.OCCAMY_REQUESTS.x", "$JS.API.STREAM.SNAPSHOT.OCCAMY_REQUESTS", "$JS.ACK.x.y.1.1.1.1.1", "$JS.FC.x"), 1<<10, 32<<10)},
		{name: "bodies beyond what is allowed", send: func(a *attacker, conn net.Conn) error {
			if err := a.write(conn, hello, []byte("PUB x 2000000000\r\n")); err != nil {
				return err
			}
			junk := a.garbage(1 << 20)
			for !a.done() {
				if err := a.write(conn, junk); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "random bytes", send: func(a *attacker, conn net.Conn) error {
			for !a.done() {
				if err := a.write(conn, a.garbage(1+a.random.IntN(8<<10))); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "random frames", send: func(a *attacker, conn net.Conn) error {
			verbs := []string{"PUB", "HPUB", "SUB", "UNSUB", "MSG", "INFO", "CONNECT", "PING", "PONG", "+OK", "-ERR", "RS+", "A+", "LMSG"}
			for !a.done() {
				line := fmt.Sprintf("%s %s %d %d\r\n%s\r\n", verbs[a.random.IntN(len(verbs))], strings.Repeat("a.", a.random.IntN(40)),
					a.random.Int64()-1<<62, a.random.IntN(1<<20), a.garbage(a.random.IntN(2<<10)))
				if err := a.write(conn, []byte(line)); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "a CONNECT without an end", send: func(a *attacker, conn net.Conn) error {
			if err := a.write(conn, []byte(`CONNECT {"name":"`)); err != nil {
				return err
			}
			for !a.done() {
				if err := a.write(conn, bytes.Repeat([]byte("x"), 4<<10)); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "subscriptions without an end", send: func(a *attacker, conn net.Conn) error {
			if err := a.write(conn, hello); err != nil {
				return err
			}
			for !a.done() {
				n := a.next()
				if err := a.write(conn, fmt.Appendf(nil, "SUB hostile.%d.%s %d\r\n", n, strings.Repeat("x", 200), n)); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "half a message", send: func(a *attacker, conn net.Conn) error {
			if err := a.write(conn, hello, []byte("PUB x 8000000\r\n"), a.garbage(1<<20)); err != nil {
				return err
			}
			return nil
		}},
	}
}

// hold opens connections, each of which says something once and then nothing.
func hold(ctx context.Context, address string, n int, first func(i int) string) (hangUp func(), err error) {
	var conns []net.Conn
	hangUp = func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	for i := range n {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			hangUp()
			return nil, err
		}
		conns = append(conns, conn)
		_, _ = io.WriteString(conn, first(i)) // the broker may have cut it
	}
	return hangUp, nil
}

// nothing and half are what slow clients say; everything is said by one that
// then reads nothing.
func nothing(int) string    { return "" }
func half(int) string       { return `CONNECT {"verb` }
func everything(int) string { return string(hello) + "SUB > 1\r\nSUB $JS.> 2\r\nSUB $SYS.> 3\r\n" }
