package assist_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/client"
)

// patient is a countdown that ends when it is told to: a control message sets its
// target.
type patient struct {
	countdown
	target      atomic.Int64 // 0 for none
	began, told chan<- struct{}
}

func (p *patient) Search(ctx context.Context, b *assist.Board[int]) error {
	p.began <- struct{}{}
	return p.countdown.Search(ctx, b)
}

func (p *patient) Control(_ context.Context, h occamy.Headers, _ []byte) error {
	defer func() { p.told <- struct{}{} }()
	return p.Restore([]byte(h["target"].(string)))
}

func (p *patient) Limits() (l assist.Limits) {
	if n := float64(p.target.Load()); n > 0 {
		l.Target = &n
	}
	return l
}

func (p *patient) State() []byte {
	b, _ := json.Marshal(p.target.Load())
	return b
}

func (p *patient) Restore(state []byte) error {
	var n int64
	if err := json.Unmarshal(state, &n); err != nil {
		return err
	}
	p.target.Store(n)
	return nil
}

func TestTheNextAttemptKnowsWhatAControlMessageChanged(t *testing.T) {
	f := newFleet(t, inMemory(t))
	began, told := make(chan struct{}, 2), make(chan struct{}, 1)
	store := &checkpoint.Memory{}
	h := func(b client.Broker) occamy.Handler {
		return assist.Search(func(_ context.Context, r occamy.Request) (assist.SearchJob[int], error) {
			p := &patient{countdown: countdown{tasks: new(atomic.Int64)}, began: began, told: told}
			return p, json.Unmarshal(r.Body, &p.countdown)
		}, assist.Config{Broker: b, Store: store, OnError: func(err error) { t.Log(err) }})
	}
	first := f.serve(1, h)
	if _, err := f.client.Submit(t.Context(), client.Request{Kind: f.kind, ID: "job", Body: []byte(`{"from":1000000,"step":1000000}`)}); err != nil {
		t.Fatal(err)
	}
	if err := f.client.Control(t.Context(), "job", occamy.Headers{"target": "999000"}, nil); err != nil {
		t.Fatal(err)
	}
	<-began
	<-told
	first.stop(0)
	f.serve(1, h)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o, err := f.client.Wait(ctx, "job", nil)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("the second attempt does not know when to end")
	}
	if err != nil || string(o.Result) != "999000" {
		t.Errorf("got %+v, %v", o, err)
	}
}
