package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/occamy-go/occamy"
)

// controlScaleFamily: whether a control message costs anything for each slot.
func controlScaleFamily() family {
	one := func(slots int) side {
		return func(p plan) (sample, error) { return controlSample(p, slots) }
	}
	return family{
		rows: []row{{
			name: "control_scale", unit: "ns", goal: "≤ 1.3",
			about: "from HandleControl until Control has it, for one task among 10,000 busy slots, one message at a time; reference: among 8",
			extra: func(values, references []sample) string {
				v, r := median(column(values, "all")), median(column(references, "all"))
				return fmt.Sprintf("with messages to all tasks in turn, whose memory is cold, %.4g over %.4g", v, r)
			},
		}},
		value: one(10_000), reference: one(8),
	}
}

// listener is a task that waits, and tells when a control message reaches it.
type listener struct {
	task
	id    string
	heard chan struct{}
}

func (l listener) Details() occamy.Details { return occamy.Details{ID: l.id} }

func (l listener) Control(context.Context, occamy.Headers, []byte) error {
	l.heard <- struct{}{}
	return nil
}

func controlSample(p plan, slots int) (_ sample, err error) {
	heard := make(chan struct{}, 1)
	s, err := newServer(occamy.Config{Slots: slots}, map[string]func(occamy.Request) occamy.Task{
		"listen": func(r occamy.Request) occamy.Task { return listener{untilStopped, r.ID, heard} },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.occupy("listen", slots); err != nil {
		return nil, err
	}
	t := newTally(-1)
	messages := make([]*message, slots)
	for i := range messages {
		messages[i] = &message{tally: t, headers: occamy.Headers{
			occamy.DefaultHeaderKeys().TaskID: "listen-" + strconv.Itoa(i),
		}}
	}
	n := p.count(100_000)
	each := func(choose func(i int) *message) float64 {
		for i := range n / 10 {
			s.HandleControl(choose(i))
			<-heard
		}
		runtime.GC()
		begin := time.Now()
		for i := range n {
			s.HandleControl(choose(i))
			<-heard
		}
		return float64(time.Since(begin).Nanoseconds()) / float64(n)
	}
	return sample{
		"control_scale": each(func(int) *message { return messages[slots/2] }),
		"all":           each(func(i int) *message { return messages[i*7919%slots] }),
	}, nil
}
