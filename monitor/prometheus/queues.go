package prometheus

import (
	"context"
	"sync"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/occamy-go/occamy/broker"
)

// How a broker is asked for its queues: it is not asked more often than each
// queuesFresh, and a scrape waits for the answer no longer than queuesWait. An
// answer older than queuesStale tells nothing any more.
const (
	queuesFresh   = 5 * time.Second
	queuesWait    = time.Second
	queuesTimeout = 10 * time.Second
	queuesStale   = time.Minute
)

var queueDesc = desc("queue_messages", "Messages at the broker: ready for a server, with a server and not settled, or dead letters. All servers tell the same.", "kind", "state")

// Queues is what tells how deep the queues of a broker are; every broker.Broker
// does.
type Queues interface {
	Queues(ctx context.Context) ([]broker.Queue, error)
}

// WatchQueues has the metrics tell how deep a broker's queues are when they are
// collected, for the kinds that have labels of their own. A broker that does
// not answer holds up no scrape for more than a second.
func (m *Metrics) WatchQueues(b Queues) {
	m.queues.watch(b, func(kind string) (string, bool) {
		n := m.kinds.Find(kind)
		return m.kinds.Name(n), n > 0
	})
}

type queues struct {
	mu     sync.Mutex
	broker Queues // nil for none; guarded by mu, as is all below
	label  func(kind string) (string, bool)
	asking chan struct{} // nil unless the broker is asked; closed when it has answered
	last   []broker.Queue
	at     time.Time // of the last answer
	asked  time.Time
}

func (q *queues) watch(b Queues, label func(string) (string, bool)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.broker, q.label = b, label
}

func (q *queues) collect(to chan<- prom.Metric, now time.Time) {
	if answered := q.refresh(now); answered != nil {
		t := time.NewTimer(queuesWait)
		defer t.Stop()
		select {
		case <-answered:
		case <-t.C:
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broker == nil || q.at.IsZero() || now.Sub(q.at) > queuesStale {
		return
	}
	rest := broker.Queue{}
	others := false
	for _, of := range q.last {
		if kind, ok := q.label(of.Kind); ok {
			tellQueue(to, kind, of)
			continue
		}
		others = true
		rest.Ready += of.Ready
		rest.Unacked += of.Unacked
		rest.Dead += of.Dead
	}
	if others {
		kind, _ := q.label("")
		tellQueue(to, kind, rest)
	}
}

func tellQueue(to chan<- prom.Metric, kind string, q broker.Queue) {
	for _, s := range []struct {
		state string
		n     int
	}{{"ready", q.Ready}, {"unacked", q.Unacked}, {"dead", q.Dead}} {
		to <- prom.MustNewConstMetric(queueDesc, prom.GaugeValue, float64(s.n), kind, s.state)
	}
}

// refresh asks the broker when it is time. The channel is closed when it has
// answered; nil: there is nothing to wait for.
func (q *queues) refresh(now time.Time) <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.broker == nil:
		return nil
	case q.asking != nil:
		return q.asking
	case !q.asked.IsZero() && now.Sub(q.asked) < queuesFresh:
		return nil
	}
	q.asked, q.asking = now, make(chan struct{})
	go q.ask(q.broker, q.asking)
	return q.asking
}

func (q *queues) ask(b Queues, answered chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), queuesTimeout)
	defer cancel()
	all, err := b.Queues(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		q.last, q.at = all, time.Now()
	}
	q.asking = nil
	close(answered)
}
