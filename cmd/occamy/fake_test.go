package main

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// fakeBroker says what a test wrote into it. What it is not about panics.
type fakeBroker struct {
	broker.Broker
	servers   []occamy.Snapshot
	queues    []broker.Queue
	letters   []broker.DeadLetter
	events    []broker.Event // of every Watch
	outcomes  map[string]occamy.Outcome
	control   error  // what Control returns
	onSubmit  func() // is called by Submit
	submitted []broker.Request
	optional  []broker.Request
	commands  []occamy.Headers
	messages  []message
	retried   []string
}

type message struct {
	id      string
	headers occamy.Headers
	body    string
}

func (f *fakeBroker) Name() string { return "fake" }

func (f *fakeBroker) Submit(_ context.Context, r broker.Request) error {
	f.submitted = append(f.submitted, r)
	if f.onSubmit != nil {
		f.onSubmit()
	}
	return nil
}

func (f *fakeBroker) Optional(_ context.Context, r broker.Request) error {
	f.optional = append(f.optional, r)
	return nil
}

func (f *fakeBroker) Control(_ context.Context, id string, h occamy.Headers, body []byte) error {
	f.messages = append(f.messages, message{id, h, string(body)})
	return f.control
}

func (f *fakeBroker) Command(_ context.Context, h occamy.Headers) error {
	f.commands = append(f.commands, h)
	return nil
}

func (f *fakeBroker) Result(_ context.Context, id string) (occamy.Outcome, error) {
	if o, ok := f.outcomes[id]; ok {
		return o, nil
	}
	return occamy.Outcome{}, broker.ErrNotFound
}

func (f *fakeBroker) Watch(ctx context.Context, _ string) (<-chan broker.Event, error) {
	events := make(chan broker.Event, len(f.events))
	for _, e := range f.events {
		events <- e
	}
	ended := slices.ContainsFunc(f.events, func(e broker.Event) bool { return e.Outcome != nil })
	if ended {
		close(events)
	} else {
		context.AfterFunc(ctx, func() { close(events) })
	}
	return events, nil
}

func (f *fakeBroker) Servers(context.Context, time.Duration) ([]occamy.Snapshot, error) {
	return f.servers, nil
}

func (f *fakeBroker) Queues(context.Context) ([]broker.Queue, error) { return f.queues, nil }

func (f *fakeBroker) DeadLetters(_ context.Context, limit int) ([]broker.DeadLetter, error) {
	if limit > 0 && limit < len(f.letters) {
		return f.letters[:limit], nil
	}
	return f.letters, nil
}

func (f *fakeBroker) DeadLetter(_ context.Context, id string) (broker.DeadLetter, error) {
	for _, d := range slices.Backward(f.letters) {
		if d.Key == id || d.ID == id {
			return d, nil
		}
	}
	return broker.DeadLetter{}, broker.ErrNotFound
}

func (f *fakeBroker) Retry(ctx context.Context, id string) error {
	if _, err := f.DeadLetter(ctx, id); err != nil {
		return err
	}
	f.retried = append(f.retried, id)
	return nil
}

func (f *fakeBroker) Close() error { return nil }

// decode runs a verb that is to succeed and reads the JSON that it prints.
func decode(t *testing.T, r run, v any, args ...string) {
	t.Helper()
	code, stdout, _ := r.do(t, args...)
	if code != exitOK {
		t.Fatalf("exit status %d", code)
	}
	unmarshal(t, stdout, v)
}

func unmarshal(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%q is not the JSON that was wanted: %v", text, err)
	}
}
