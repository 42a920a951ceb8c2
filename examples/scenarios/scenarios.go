package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/client"
)

// plan is what is measured.
type plan struct {
	broker, prefix string
	servers, slots int // slots of each server
	needs          []int
	rounds         int
	each           time.Duration // of a unit
	hold           time.Duration // for how long a request alone would work on all slots
}

func (p plan) all() int { return p.servers * p.slots }

// outcome is how one request fared.
type outcome struct {
	Needs   int
	Minimum time.Duration // from submit until as many slots work for it as it needs
	All     time.Duration // and until all slots do; 0: it never was to have them
	Done    time.Duration
	Used    float64 // share of the slot time that units took, meanwhile
}

// fleet is the servers, and a client for them.
type fleet struct {
	plan
	client *client.Client
	record *record
}

// with runs f beside as many servers as are planned.
func (p plan) with(ctx context.Context, f func(*fleet) error) (err error) {
	b, err := open(ctx, p.broker, p.prefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	fl := &fleet{plan: p, client: client.New(b), record: newRecord()}
	for i := range p.servers {
		s, err := start(ctx, serverOrder{Broker: p.broker, Prefix: p.prefix, Number: i, Slots: p.slots}, fl.record.note)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.stop()) }()
	}
	if err := fl.idle(ctx); err != nil {
		return err
	}
	return f(fl)
}

// idle waits until all servers are there and nothing runs.
func (fl *fleet) idle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		all, err := fl.client.Servers(ctx, 50*time.Millisecond)
		if err != nil {
			return fmt.Errorf("wait until all servers are idle: %w", err)
		}
		empty := 0
		for _, s := range all {
			for _, slot := range s.Slots {
				if slot.Status == occamy.Empty {
					empty++
				}
			}
		}
		if empty == fl.all() {
			return nil
		}
	}
}

// request has a request done, and says how it fared. arrived is called when it
// has its minimum.
func (fl *fleet) request(ctx context.Context, o order, all bool, arrived func()) (outcome, error) {
	out := outcome{Needs: o.Needs}
	body, err := json.Marshal(o)
	if err != nil {
		return out, err
	}
	begin := time.Now()
	worked := fl.record.worked(begin)
	watching, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	seen := make(chan error, 1)
	go func() {
		at, err := fl.record.wait(watching, o.Name, o.Needs)
		out.Minimum = at.Sub(begin)
		arrived()
		if all && err == nil {
			at, err = fl.record.wait(watching, o.Name, fl.all())
			out.All = at.Sub(begin)
		}
		seen <- err
	}()
	result, err := fl.client.SubmitAndWait(ctx, client.Request{Kind: kind, ID: o.Name, Body: body}, nil)
	end := time.Now()
	ended(errors.New("it has ended before; a longer -hold gives it more work"))
	if err := errors.Join(err, <-seen); err != nil {
		return out, fmt.Errorf("request %s: %w", o.Name, err)
	}
	if string(result.Result) != o.want() {
		return out, fmt.Errorf("request %s has the result %s; want %s", o.Name, result.Result, o.want())
	}
	out.Done = end.Sub(begin)
	out.Used = float64(fl.record.worked(end)-worked) / float64(out.Done) / float64(fl.all())
	return out, nil
}

// order is for a request that would keep all slots busy for a while.
func (p plan) order(scenario string, round, i, needs int) order {
	return order{
		Name:  fmt.Sprintf("%s-%s-%d-%d", p.prefix, scenario, round, i),
		Needs: needs, Units: p.all() * int(p.hold/p.each), Each: p.each,
	}
}

// scenarioA has each request arrive when nothing runs.
func (fl *fleet) scenarioA(ctx context.Context, round int) (all []outcome, _ error) {
	for i, needs := range fl.needs {
		if err := fl.idle(ctx); err != nil {
			return nil, err
		}
		o, err := fl.request(ctx, fl.order("a", round, i, needs), true, func() {})
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// scenarioB has the first request use all slots, and the others arrive one after
// the other, each when those before it have what they need.
func (fl *fleet) scenarioB(ctx context.Context, round int) (all []outcome, _ error) {
	if err := fl.idle(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all = make([]outcome, len(fl.needs))
	var done sync.WaitGroup
	for i, needs := range fl.needs {
		o := fl.order("b", round, i, needs)
		arrived := make(chan struct{})
		done.Go(func() {
			var err error
			if all[i], err = fl.request(ctx, o, false, func() { close(arrived) }); err != nil {
				cancel(err)
			}
		})
		<-arrived
		if i > 0 {
			continue
		}
		if _, err := fl.record.wait(ctx, o.Name, fl.all()); err != nil {
			cancel(err)
		}
	}
	done.Wait()
	return all, context.Cause(ctx)
}
