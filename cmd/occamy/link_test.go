package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
)

func TestALinkTellsOnceOfEachLossAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		say := func(line string) { lines = append(lines, line) }
		l := &link{say: say, background: say}
		broken := &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
		lostDelivery := fmt.Errorf("task: %w", occamy.ErrDeliveryLost)

		l.failed(errors.New("before it is open"))
		l.lost(io.EOF)
		l.back()
		l.open("b")
		l.failed(errors.New("while it is up"))
		l.failed(broken)
		l.failed(fmt.Errorf("remove the progress: %w", natsgo.ErrReconnectBufExceeded)) // NATS knows of the loss a moment before we do
		if l.explains(errors.New("task: no")) {
			t.Error("it explains an error of a task")
		}
		l.lost(io.EOF)
		l.lost(errors.New("again"))
		l.failed(errors.New("while it is down"))
		if !l.explains(lostDelivery) || l.explains(errors.New("task: no")) {
			t.Error("while it is down it explains what it should not, or not what it should")
		}
		l.back()
		l.back()
		if !l.explains(lostDelivery) {
			t.Error("once it is back it does not explain what comes to light late")
		}
		<-time.After(aftermath)
		if l.explains(lostDelivery) {
			t.Error("it explains what has other reasons")
		}
		l.lost(nil)
		l.close()
		l.back()
		l.failed(errors.New("after it was closed"))
		want := []string{
			"while it is up",
			"lost the connection to b; trying until it is back: EOF", "the connection to b is back",
			"lost the connection to b; trying until it is back",
		}
		if !slices.Equal(lines, want) {
			t.Errorf("it said %q, want %q", lines, want)
		}
	})
}
