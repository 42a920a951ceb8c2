//go:build unix

package rabbitnode

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
)

const (
	greeting = "\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a\xce" // connection.start
	letIn    = "\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x1e\xce" // connection.tune
)

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name          string
		greets, login string // what the peer says, before and after the login
		want          string // in the error; empty: none
	}{
		{"a broker that lets us in", greeting, letIn, ""},
		{"a broker that refuses the login", greeting, "", "the login is refused"},
		{"a broker of another protocol", "AMQP\x00\x01\x00\x00....", "", "no greeting"},
		{"a peer that hangs up", "", "", "no greeting"},
		{"a frame that ends early", "\x01\x00\x00\xff\xff\xff\xff\x00\x0a\x00\x0a", "", "no greeting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := l.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				_, _ = io.CopyN(io.Discard, conn, 8) // the protocol header
				_, _ = io.WriteString(conn, c.greets)
				if c.greets == greeting {
					var head [7]byte // of the login's frame
					_, _ = io.ReadFull(conn, head[:])
					_, _ = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[3:]))+1)
					_, _ = io.WriteString(conn, c.login)
				}
			}()
			err = Answers(context.Background(), "amqp://user:hunter2@"+l.Addr().String())
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v; want none", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v; want %q", err, c.want)
			}
			_ = l.Close()
			<-served
		})
	}
}

func TestErrorsKeepThePassword(t *testing.T) {
	for _, url := range []string{"http://u:hunter2@host", "amqp://u:hunter2@host:port", ":hunter2", "", "amqp://u:hunter2@127.0.0.1:1/"} {
		err := Answers(context.Background(), url)
		if err == nil {
			t.Errorf("%q answers", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error for %q shows the password: %v", url, err)
		}
	}
}
