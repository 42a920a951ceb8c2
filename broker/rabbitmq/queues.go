package rabbitmq

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/occamy-go/occamy/broker"
)

// answerWait is how long to wait for servers that RabbitMQ counts and that do
// not answer, since their connection is about to be found dead.
const answerWait = 500 * time.Millisecond

// allKinds returns the kinds that are kept and those that this connection has
// heard of, sorted.
func (b *Broker) allKinds(ctx context.Context) ([]string, error) {
	kinds, err := b.readKinds(ctx)
	if err != nil || !b.cfg.Declared {
		return kinds, err
	}
	// Nobody keeps the kinds of queues that somebody else declared.
	answers, err := b.askServers(ctx, answerWait)
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		b.addKinds(a)
	}
	return b.kinds.sorted(), nil
}

func (b *Broker) addKinds(a answer) {
	for _, kind := range a.Kinds {
		if broker.CheckKind(kind) == nil {
			b.kinds.add(kind)
		}
	}
}

// Queues implements broker.Broker. What is unacked the servers tell, since AMQP
// does not. A request that waits out a delay is not counted before it is over.
func (b *Broker) Queues(ctx context.Context) ([]broker.Queue, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	answers, err := b.askServers(ctx, answerWait)
	if err != nil {
		return nil, fmt.Errorf("queues: %w", err)
	}
	for _, a := range answers {
		b.addKinds(a)
	}
	unacked := unackedOf(answers)
	kinds, err := b.readKinds(ctx)
	if err != nil {
		return nil, fmt.Errorf("queues: %w", err)
	}
	names := make([]string, 0, 2*len(kinds))
	for _, kind := range kinds {
		names = append(names, b.names.requestQueue(kind), b.names.deadQueue(kind))
	}
	ready, err := b.depths(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("queues: %w", err)
	}
	queues := make([]broker.Queue, 0, len(kinds))
	for _, kind := range kinds {
		queues = append(queues, broker.Queue{
			Kind: kind, Ready: ready[b.names.requestQueue(kind)], Unacked: unacked[kind], Dead: ready[b.names.deadQueue(kind)],
		})
	}
	return queues, nil
}

// mostUnacked bounds what is believed of one server.
const mostUnacked = 1 << 30

func unackedOf(answers []answer) map[string]int {
	all := make(map[string]int)
	for _, a := range answers {
		for kind, n := range a.Unacked {
			all[kind] += min(max(n, 0), mostUnacked)
		}
	}
	return all
}

// depths returns how many messages wait in each of the queues that are there.
func (b *Broker) depths(ctx context.Context, names []string) (map[string]int, error) {
	all := make(map[string]int, len(names))
	for len(names) > 0 {
		some, err := ask(ctx, b, func(ch *amqp.Channel) (depths, error) { return readDepths(ch, names) })
		if err != nil {
			return nil, err
		}
		for i, n := range some.ready {
			all[names[i]] = n
		}
		names = names[len(some.ready):]
		if some.missing {
			names = names[1:]
		}
	}
	return all, nil
}

// depths are those of the first queues of a list, up to one that is missing,
// which ends the channel.
type depths struct {
	ready   []int
	missing bool
}

// A quorum queue that is busy says after 250 ms that it is empty, so an answer
// that takes that long is doubtful.
const (
	doubtful   = 200 * time.Millisecond
	doubtTries = 3
)

func readDepths(ch *amqp.Channel, names []string) (depths, error) {
	var d depths
	for _, name := range names {
		var n int
		for try := range doubtTries {
			asked := time.Now()
			q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
			if notFound(err) {
				d.missing = true
				return d, nil
			}
			if err != nil {
				return d, err
			}
			if n = q.Messages; n > 0 || time.Since(asked) < doubtful || try == doubtTries-1 {
				break
			}
		}
		d.ready = append(d.ready, n)
	}
	return d, nil
}
