package rabbitmq

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// What listens on a port that was meant to be RabbitMQ's is found out at once,
// and said.
func TestWhatIsNoAMQPBrokerIsSaidAtOnce(t *testing.T) {
	for _, c := range []struct{ what, scheme, addr, want string }{
		{"a web server", "amqp", talk(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), "web server"},
		{"a NATS server", "amqp", talk(t, "INFO {\"server_id\":\"x\"}\r\n"), "nats://"},
		{"another version of AMQP", "amqp", talk(t, "AMQP\x03\x01\x00\x00"), "version"},
		{"something else", "amqp", talk(t, "SSH-2.0-x\r\n"), `"SSH-2.0-x\r\n"`},
		{"a port for TLS", "amqp", talk(t, "\x15\x03\x01\x00\x02\x02\x0a"), "amqps://"},
		{"a port without TLS", "amqps", talk(t, "AMQP\x00\x00\x09\x01"), "amqp://"},
	} {
		t.Run(c.what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
			defer cancel()
			_, err := Open(ctx, Config{URL: c.scheme + "://" + c.addr + "/"})
			if !errors.Is(err, errForeign) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.addr) {
				t.Errorf("Open: %v; want that it is %s", err, c.what)
			}
			if ctx.Err() != nil {
				t.Error("it was said no sooner than ctx ended")
			}
		})
	}
}

// One that says nothing, or hangs up, may be a broker that is not ready yet.
func TestAPortThatSaysNothing(t *testing.T) {
	for what, words := range map[string]string{"it waits": "", "it hangs up": hangUp} {
		t.Run(what, func(t *testing.T) {
			addr := talk(t, words)
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, err := Open(ctx, Config{URL: "amqp://" + addr})
			if !errors.Is(err, errMute) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), addr) {
				t.Errorf("Open: %v; want where there is no answer", err)
			}
		})
	}
}

// What went wrong before there was a connection is not told of what is waited
// for over it.
func TestAConnectionEndsWhatWentWrongBefore(t *testing.T) {
	b := &Broker{}
	l := newLink(b, "consume")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	l.trying(address{})
	if err := l.inVain(ended); !errors.Is(err, errMute) {
		t.Errorf("without a connection: %v", err)
	}
	l.setUp(nil, nil)
	if err := l.inVain(ended); errors.Is(err, errMute) || !errors.Is(err, context.Canceled) {
		t.Errorf("with one: %v", err)
	}
}

func TestTheSchemeOfAnotherBroker(t *testing.T) {
	for _, url := range []string{"nats://127.0.0.1:4222", "amqp://h,http://127.0.0.1:15672"} {
		scheme, _, _ := strings.Cut(url[strings.LastIndex(url, ",")+1:], "://")
		if _, err := Open(t.Context(), Config{URL: url}); err == nil || !strings.Contains(err.Error(), scheme+"://") || !strings.Contains(err.Error(), "amqp://") {
			t.Errorf("%s: %v; want the scheme that is wrong, and which are right", url, err)
		}
	}
	if all, err := (Config{URL: "AMQPS://h"}).parseURLs(); err != nil || all[0].Scheme != "amqps" {
		t.Errorf("AMQPS://h gives %v, %v", all, err)
	}
}

const hangUp = "\x00"

// talk listens, says one thing to whoever comes, and then nothing.
func talk(t *testing.T, words string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			if words == hangUp {
				_ = conn.Close()
				continue
			}
			_, _ = conn.Write([]byte(words))
		}
	}()
	return l.Addr().String()
}
