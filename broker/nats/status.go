package nats

import (
	"context"
	"maps"
	"slices"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/internal/token"
)

func sortedSnapshots(byID map[string]occamy.Snapshot) []occamy.Snapshot {
	out := make([]occamy.Snapshot, 0, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		out = append(out, byID[id])
	}
	return out
}

// Queues implements broker.Broker.
func (b *Broker) Queues(ctx context.Context) ([]broker.Queue, error) {
	if err := b.usable(); err != nil {
		return nil, err
	}
	byKind := make(map[string]*broker.Queue)
	queue := func(kind string) *broker.Queue {
		if byKind[kind] == nil {
			byKind[kind] = &broker.Queue{Kind: kind}
		}
		return byKind[kind]
	}
	err := b.retry(ctx, func() error {
		clear(byKind)
		return b.countQueues(ctx, queue)
	})
	if err != nil {
		return nil, err
	}
	out := make([]broker.Queue, 0, len(byKind))
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		out = append(out, *byKind[kind])
	}
	return out, nil
}

func (b *Broker) countQueues(ctx context.Context, queue func(kind string) *broker.Queue) error {
	n := b.names
	waiting, err := b.countSubjects(ctx, n.requests, n.prefix+".request.*")
	if err != nil {
		return err
	}
	for subject, messages := range waiting {
		queue(kindOf(subject)).Ready += messages
	}
	if err := b.countUnacked(ctx, queue); err != nil {
		return err
	}
	dead, err := b.countSubjects(ctx, n.dead, n.allDead())
	if err != nil {
		return err
	}
	for subject, messages := range dead {
		queue(kindOfDead(subject)).Dead += messages
	}
	return nil
}

func (b *Broker) countUnacked(ctx context.Context, queue func(kind string) *broker.Queue) error {
	consumers, err := b.listConsumers(ctx, b.names.requests)
	for _, info := range consumers {
		q := queue(kindOf(info.Config.FilterSubject))
		q.Unacked += info.NumAckPending
		q.Ready = max(q.Ready-info.NumAckPending, 0)
	}
	return err
}

// kindOf reads the kind from the subject of a queue.
func kindOf(subject string) string {
	t := lastToken(subject)
	if kind, ok := token.Text(t); ok {
		return kind
	}
	return t
}
