package depth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/monitor/internal/depth"
)

// asked is a broker as a function.
type asked func(ctx context.Context) ([]broker.Queue, error)

func (f asked) Queues(ctx context.Context) ([]broker.Queue, error) { return f(ctx) }

func read(r *depth.Reader) string {
	return fmt.Sprint(r.Read(func(kind string) string {
		if kind == "work" {
			return kind
		}
		return "other"
	}))
}

func TestReader_AsksWhenItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times := 0
		answer := []broker.Queue{{Kind: "work", Ready: 3, Unacked: 2, Dead: 1}, {Kind: "x", Ready: 10}, {Kind: "y", Ready: 1, Dead: 2}}
		var broken error
		var r depth.Reader
		if got := read(&r); got != "[]" {
			t.Errorf("without a broker: %s", got)
		}
		r.Watch(asked(func(context.Context) ([]broker.Queue, error) {
			times++
			return slices.Clone(answer), broken
		}))
		for range 100 {
			if got := read(&r); got != "[{work 3 2 1} {other 11 0 2}]" {
				t.Fatal(got)
			}
		}
		if times != 1 {
			t.Errorf("%d questions within a moment", times)
		}
		time.Sleep(6 * time.Second)
		answer = answer[:1]
		if got := read(&r); got != "[{work 3 2 1}]" {
			t.Errorf("6 s later: %s", got)
		}
		broken = errors.New("no connection")
		time.Sleep(30 * time.Second)
		if got := read(&r); got != "[{work 3 2 1}]" {
			t.Errorf("half a minute after the loss of the connection: %s", got)
		}
		time.Sleep(31 * time.Second)
		if got := read(&r); got != "[]" {
			t.Errorf("a minute after the last answer: %s", got)
		}
	})
}

func TestReader_ABrokerThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asking atomic.Int32
		var r depth.Reader
		r.Watch(asked(func(ctx context.Context) ([]broker.Queue, error) {
			asking.Add(1)
			defer asking.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		for range 5 {
			begun := time.Now()
			if got := read(&r); got != "[]" {
				t.Error(got)
			}
			if d := time.Since(begun); d > time.Second {
				t.Errorf("held up for %v", d)
			}
			if n := asking.Load(); n > 1 {
				t.Errorf("%d questions at a time", n)
			}
		}
		time.Sleep(time.Minute)
	})
}
