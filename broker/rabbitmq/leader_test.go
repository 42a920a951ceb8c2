//go:build unix && services && !nonodes

package rabbitmq_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/occamy-go/occamy/broker/rabbitmq"
	"github.com/occamy-go/occamy/internal/rabbitnode"
)

// killStreamLeaders ends the processes that lead streams, again and again, as
// the end of their node would; RabbitMQ starts others and tells who publishes.
const killStreamLeaders = `lists:foreach(fun(_) ->
	[exit(amqqueue:get_pid(Q), kill) || Q <- rabbit_amqqueue:list(), amqqueue:get_type(Q) =:= rabbit_stream_queue],
	timer:sleep(%d)
end, lists:seq(1, %d)).`

// What RabbitMQ has confirmed is kept also when the leader of its stream changes
// while other outcomes are under way, to the same stream and to others.
func TestOutcomesAreKeptWhenTheLeaderOfTheirStreamChanges(t *testing.T) {
	const (
		publishers = 300
		changes    = 12
	)
	n := startNode(t, rabbitnode.Config{})
	b := open(t, rabbitmq.Config{URL: n.URL()})
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	var told [publishers][]string
	var over atomic.Bool
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := 0; !over.Load(); i++ {
				id := fmt.Sprintf("r%d-%d", p, i)
				if err := b.PublishOutcome(ctx, outcomeOf(id)); err != nil {
					t.Errorf("PublishOutcome: %v", err)
					return
				}
				told[p] = append(told[p], id)
			}
		})
	}
	ctl(t, n, "eval", fmt.Sprintf(killStreamLeaders, 200, changes))
	over.Store(true)
	publishing.Wait()

	var looking sync.WaitGroup
	var all, lost atomic.Int64
	for _, ids := range told {
		for _, id := range ids {
			looking.Go(func() {
				all.Add(1)
				if _, err := b.Result(ctx, id); err != nil {
					lost.Add(1)
					t.Logf("%s was confirmed: %v", id, err)
				}
			})
		}
	}
	looking.Wait()
	if lost.Load() > 0 {
		t.Errorf("%d of %d outcomes were confirmed and are not kept", lost.Load(), all.Load())
	}
}
