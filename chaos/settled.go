package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/chaos/record"
)

// source is a broker whose deliveries are watched: how each is settled goes
// into the audit log, as the broker's adapter was told and as it answered.
type source struct {
	occamy.Source
	log *record.Log
}

// Consume implements occamy.Source.
func (s source) Consume(ctx context.Context, in occamy.Intake) error {
	return s.Source.Consume(ctx, &intake{Intake: in, log: s.log})
}

type intake struct {
	occamy.Intake
	log *record.Log
}

// HandleRequest implements occamy.Intake.
func (in *intake) HandleRequest(m occamy.Message) {
	w, err := watch(m, in.Info().Keys, in.log)
	if err != nil {
		in.log.Write(record.Event{What: record.Problem, Error: err.Error()})
		w = m
	}
	in.Intake.HandleRequest(w)
}

// able is what the messages of all brokers here can do.
type able interface {
	occamy.Message
	occamy.DelayedRequeuer
	occamy.ReasonedRejecter
	occamy.Attempter
	occamy.OutcomePublisher
	occamy.ProgressKeeper
}

// watched is a message whose settlements are written down.
type watched struct {
	able
	id  string
	log *record.Log
}

// leased and lossy add what a message can do to keep its delivery, or to say
// that it is lost, and no more than that.
type (
	leased struct {
		watched
		occamy.Leased
	}
	lossy struct {
		watched
		occamy.LossNotifier
	}
	leasedLossy struct {
		watched
		occamy.Leased
		occamy.LossNotifier
	}
)

func watch(m occamy.Message, keys occamy.HeaderKeys, log *record.Log) (occamy.Message, error) {
	a, ok := m.(able)
	if !ok {
		return m, fmt.Errorf("a %T cannot be watched", m)
	}
	id, _ := m.Headers()[keys.RequestID].(string)
	w := watched{able: a, id: id, log: log}
	l, hasLease := m.(occamy.Leased)
	n, tellsLoss := m.(occamy.LossNotifier)
	if tellsLoss {
		n = notifier{n, w}
	}
	switch {
	case hasLease && tellsLoss:
		return leasedLossy{w, l, n}, nil
	case hasLease:
		return leased{w, l}, nil
	case tellsLoss:
		return lossy{w, n}, nil
	}
	return w, nil
}

// settle does what is asked and writes it down.
func (w watched) settle(op string, f func() error) error {
	began := time.Now().Round(0)
	err := f()
	w.log.Write(record.Event{
		What: record.Settled, ID: w.id, Attempt: w.Attempt(), Op: op, Began: &began, Error: text(err),
	})
	return err
}

func (w watched) Ack(ctx context.Context) error {
	return w.settle(record.Ack, func() error { return w.able.Ack(ctx) })
}

func (w watched) Reject(ctx context.Context, requeue bool) error {
	op := record.Reject
	if requeue {
		op = record.Requeue
	}
	return w.settle(op, func() error { return w.able.Reject(ctx, requeue) })
}

func (w watched) RejectFor(ctx context.Context, reason string) error {
	return w.settle(record.Reject, func() error { return w.able.RejectFor(ctx, reason) })
}

func (w watched) RequeueAfter(ctx context.Context, delay time.Duration) error {
	return w.settle(record.Requeue, func() error { return w.able.RequeueAfter(ctx, delay) })
}

// notifier writes down that a delivery was lost.
type notifier struct {
	occamy.LossNotifier
	w watched
}

func (n notifier) NotifyLost(f func()) {
	var once sync.Once
	n.LossNotifier.NotifyLost(func() {
		once.Do(func() {
			n.w.log.Write(record.Event{What: record.Problem, ID: n.w.id, Attempt: n.w.Attempt(), Error: "delivery lost"})
		})
		f()
	})
}
