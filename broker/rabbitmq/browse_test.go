//go:build services

package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/occamy-go/occamy/broker/internal/token"
)

// Who gives up just when it gets its turn at a queue keeps the connection, and
// with it all that servers have from it.
func TestWhoGivesUpWaitingForItsTurnKeepsTheConnection(t *testing.T) {
	b, _ := openOutlet(t, newOutlet())
	queue := "t." + token.Of(fmt.Sprint(time.Now().UnixNano()))
	gaveUp := 0
	for range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(5*time.Millisecond))
		err := b.exclusively(ctx, queue, func() error { return nil })
		cancel()
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			gaveUp++
		case err != nil:
			t.Fatal(err)
		}
	}
	if gaveUp == 0 {
		t.Error("nobody gave up, so this showed nothing")
	}
	if err := b.exclusively(t.Context(), queue, func() error { return nil }); err != nil { // the lock is free
		t.Error(err)
	}
	b.in.mu.Lock()
	defer b.in.mu.Unlock()
	if b.in.epoch != 1 {
		t.Errorf("the connection was lost %d times", b.in.epoch-1)
	}
}
