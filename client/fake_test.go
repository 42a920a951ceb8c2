package client_test

import (
	"context"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
)

// fake is a broker of which a test writes the methods that it is about; a call
// of any other panics.
type fake struct {
	client.Broker
	submit   func(broker.Request) error
	optional func(broker.Request) error
	control  func(id string, h occamy.Headers, body []byte) error
	command  func(occamy.Headers) error
	result   func(id string) (occamy.Outcome, error)
	watch    func(ctx context.Context, id string) (<-chan broker.Event, error)
	servers  []occamy.Snapshot
	err      error // of every method that has no function above
}

func (f *fake) Submit(_ context.Context, r broker.Request) error   { return f.submit(r) }
func (f *fake) Optional(_ context.Context, r broker.Request) error { return f.optional(r) }
func (f *fake) Control(_ context.Context, id string, h occamy.Headers, body []byte) error {
	return f.control(id, h, body)
}
func (f *fake) Command(_ context.Context, h occamy.Headers) error { return f.command(h) }
func (f *fake) Result(_ context.Context, id string) (occamy.Outcome, error) {
	return f.result(id)
}
func (f *fake) Watch(ctx context.Context, id string) (<-chan broker.Event, error) {
	return f.watch(ctx, id)
}
func (f *fake) Servers(context.Context, time.Duration) ([]occamy.Snapshot, error) {
	return f.servers, f.err
}
func (f *fake) Queues(context.Context) ([]broker.Queue, error) { return nil, f.err }
func (f *fake) DeadLetters(context.Context, int) ([]broker.DeadLetter, error) {
	return nil, f.err
}
func (f *fake) DeadLetter(context.Context, string) (broker.DeadLetter, error) {
	return broker.DeadLetter{}, f.err
}
func (f *fake) Retry(context.Context, string) error { return f.err }

// tell returns a Watch that tells the events and, as brokers do, closes its
// channel after an outcome or when ctx ends.
func tell(events ...broker.Event) func(context.Context, string) (<-chan broker.Event, error) {
	return func(ctx context.Context, _ string) (<-chan broker.Event, error) {
		ch := make(chan broker.Event)
		go func() {
			defer close(ch)
			for _, e := range events {
				select {
				case ch <- e:
				case <-ctx.Done():
					return
				}
				if e.Outcome != nil {
					return
				}
			}
			<-ctx.Done()
		}()
		return ch, nil
	}
}

func outcome(o occamy.Outcome) broker.Event { return broker.Event{Outcome: &o} }
func progress(p string) broker.Event        { return broker.Event{Progress: []byte(p)} }
func none(string) (occamy.Outcome, error)   { return occamy.Outcome{}, broker.ErrNotFound }
func completed(id, result string) broker.Event {
	return outcome(occamy.Outcome{ID: id, Status: occamy.Completed, Result: []byte(result)})
}
