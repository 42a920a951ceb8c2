package natskv_test

import (
	"context"
	"net"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/occamy-go/occamy/checkpoint/natskv"
)

// dialer knows its last connection.
type dialer struct{ last net.Conn }

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	d.last = c
	return c, err
}

// An answer that went with the connection is not waited for: what the store
// says then is that it is unknown, and Progress looks.
func TestACallEndsWithItsConnection(t *testing.T) {
	server := startServer(t)
	cable, other := &dialer{}, connect(t, server)
	nc, err := natsgo.Connect(server.URL(), natsgo.SetCustomDialer(cable), natsgo.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s := open(t, nc, natskv.Options{Bucket: "b"})
	// Somebody else hears what is saved, and says nothing.
	js, err := jetstream.New(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "KV_b"); err != nil {
		t.Fatal(err)
	}
	heard := make(chan *natsgo.Msg, 1)
	if _, err := other.ChanSubscribe("$KV.b.>", heard); err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	saved := make(chan error, 1)
	go func() {
		_, err := s.Save(ctx, "k", []byte("v"))
		saved <- err
	}()
	<-heard
	if err := cable.last.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-saved:
		if err == nil {
			t.Error("nobody has it, and no error")
		}
		if ctx.Err() != nil {
			t.Error("its context has ended")
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits for the answer, which cannot come")
		cancel()
		if err := <-saved; err == nil {
			t.Error("nobody has it, and no error")
		}
	}
}
