package prometheus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/monitor/prometheus"
)

// queueSamples are those of the broker's queues, in short.
func queueSamples(t *testing.T, g prom.Gatherer) string {
	t.Helper()
	var found []string
	for _, line := range samples(t, g) {
		if rest, ok := strings.CutPrefix(line, "occamy_queue_messages"); ok {
			found = append(found, strings.NewReplacer(`kind="`, "", `",state="`, " ", `"}`, "", "{", "").Replace(rest))
		}
	}
	return strings.Join(found, ", ")
}

func TestQueues_AreAskedForWhenSomebodyCollects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := newMetrics(prometheus.Options{Kinds: []string{"work"}})
		asked := 0
		answer := []broker.Queue{{Kind: "work", Ready: 3, Unacked: 2, Dead: 1}, {Kind: "x", Ready: 10}, {Kind: "y", Ready: 1}}
		var broken error
		m.WatchQueues(queues(func(context.Context) ([]broker.Queue, error) {
			asked++
			return slices.Clone(answer), broken
		}))
		const want = "other dead 0, other ready 11, other unacked 0, work dead 1, work ready 3, work unacked 2"
		for range 100 {
			if got := queueSamples(t, reg); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		if asked != 1 {
			t.Errorf("%d questions within a moment", asked)
		}
		time.Sleep(6 * time.Second)
		answer = answer[:1]
		if got := queueSamples(t, reg); got != "work dead 1, work ready 3, work unacked 2" {
			t.Errorf("6 s later: %s", got)
		}
		broken = errors.New("no connection")
		time.Sleep(30 * time.Second)
		if got := queueSamples(t, reg); got != "work dead 1, work ready 3, work unacked 2" {
			t.Errorf("half a minute after the loss of the connection: %s", got)
		}
		time.Sleep(31 * time.Second)
		if got := queueSamples(t, reg); got != "" {
			t.Errorf("a minute after the last answer: %s", got)
		}
	})
}

func TestQueues_ABrokerThatDoesNotAnswerHoldsUpNoScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := newMetrics(prometheus.Options{Kinds: []string{"work"}})
		var asking atomic.Int32
		m.WatchQueues(queues(func(ctx context.Context) ([]broker.Queue, error) {
			asking.Add(1)
			defer asking.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		for range 5 {
			begun := time.Now()
			if got := queueSamples(t, reg); got != "" {
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
