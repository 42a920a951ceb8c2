//go:build unix && services && !nonodes

package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/rabbitmq"
	"github.com/occamy-go/occamy/internal/rabbitnode"
)

// long is how long a test waits for what RabbitMQ does once a minute.
const long = 5 * time.Minute

func startNode(t *testing.T, cfg rabbitnode.Config) *rabbitnode.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	n, err := rabbitnode.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func ctl(t *testing.T, n *rabbitnode.Node, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := n.Ctl(ctx, args...); err != nil {
		t.Fatalf("rabbitmqctl %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// serve starts a server for the kind "k".
func serve(t *testing.T, b *rabbitmq.Broker, id string, slots int, do func(ctx context.Context, r occamy.Request) error) *occamy.Server {
	t.Helper()
	s, err := occamy.New(occamy.Config{ID: id, Slots: slots, Kinds: []string{"k"}, Handler: occamy.HandlerFunc(
		func(_ context.Context, r occamy.Request) (occamy.Task, error) {
			return task{r.ID, func(ctx context.Context) error { return do(ctx, r) }}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), b) }()
	t.Cleanup(func() {
		ended, end := context.WithCancel(context.Background())
		end()
		if err := s.Shutdown(ended); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil && !errors.Is(err, occamy.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

type task struct {
	id string
	do func(ctx context.Context) error
}

func (t task) Details() occamy.Details      { return occamy.Details{ID: t.id} }
func (t task) Do(ctx context.Context) error { return t.do(ctx) }

// Fact: consumer_timeout closes the channel. The task is stopped, since the
// request goes to somebody else, and consumption goes on.
func TestAConsumerTimeoutIsALostDelivery(t *testing.T) {
	n := startNode(t, rabbitnode.Config{Conf: []string{"consumer_timeout = 1000"}})
	ctl(t, n, "eval", "application:set_env(rabbit, channel_tick_interval, 2000).")
	b := open(t, rabbitmq.Config{URL: n.URL()})
	causes, quick := make(chan error, 8), make(chan struct{}, 8)
	serve(t, b, "a", 2, func(ctx context.Context, r occamy.Request) error {
		if r.ID == "quick" || r.Attempt > 1 {
			quick <- struct{}{}
			return nil
		}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil
	})
	submit(t, b, "k", "slow")
	select {
	case cause := <-causes:
		wantIs(t, "the cause of the stop", cause, occamy.ErrDeliveryLost)
	case <-time.After(long):
		t.Fatal("RabbitMQ did not close the channel of a consumer that says nothing")
	}
	submit(t, b, "k", "quick")
	await(t, "both the request that was lost and the next", both(quick))
}

// both is closed after two of c.
func both(c <-chan struct{}) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		<-c
		<-c
		close(out)
	}()
	return out
}

// A broker that is restarted loses nothing that it confirmed, and a server that
// it left takes requests again.
func TestABrokerIsRestarted(t *testing.T) {
	for _, queues := range queueTypes {
		t.Run(string(queues), func(t *testing.T) {
			n := startNode(t, rabbitnode.Config{})
			b := open(t, rabbitmq.Config{URL: n.URL(), QueueType: queues})
			a := consume(t, b, 2, "k")
			submit(t, b, "k", ids("r", 20)...)
			held := []occamy.Message{a.next(t), a.next(t)}
			gone := lost(held[0])
			if err := halt(n, queues); err != nil {
				t.Fatal(err)
			}
			await(t, "word that the delivery is lost", gone)
			during := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), long)
				defer cancel()
				during <- b.Submit(ctx, broker.Request{Kind: "k", ID: "during"})
			}()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			if err := n.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			got := make(map[string]int)
			for len(got) < 21 {
				m := a.next(t)
				got[idOf(m)] = attemptOf(m)
				ack(t, m)
			}
			if err := <-during; err != nil {
				t.Errorf("Submit while the broker was down: %v", err)
			}
			for _, m := range held {
				if got[idOf(m)] != 2 {
					t.Errorf("%s was held when the broker died, and came as attempt %d", idOf(m), got[idOf(m)])
				}
				wantLost(t, m)
			}
		})
	}
}

// halt stops a node in order when it has quorum queues: of a lone node of 3.10.8
// that is killed, the quorum queue that was written to last does not work again,
// as it has no other node to agree with.
func halt(n *rabbitnode.Node, queues rabbitmq.QueueType) error {
	if queues == rabbitmq.Quorum {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return n.Stop(ctx)
	}
	return n.Kill()
}

// A broker that is low on memory takes no messages. Acks go on, and who
// publishes waits until ctx ends and then says why.
func TestAnAlarmHoldsUpPublishersAlone(t *testing.T) {
	n := startNode(t, rabbitnode.Config{})
	b := open(t, rabbitmq.Config{URL: n.URL()})
	a := consume(t, b, 8, "k")
	submit(t, b, "k", ids("r", 8)...)
	held := make([]occamy.Message, 8)
	for i := range held {
		held[i] = a.next(t)
	}
	ctl(t, n, "set_vm_memory_high_watermark", "absolute", "1")
	eventually(t, "the broker takes no more messages", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		err := b.Submit(ctx, broker.Request{Kind: "k", ID: "in vain"})
		return errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "memory")
	})
	unacked := func(want string) bool {
		out, err := n.Ctl(within(t), "-q", "list_queues", "--no-table-headers", "name", "messages_unacknowledged")
		return err == nil && strings.Contains(out, "occamy.request.k\t"+want+"\n")
	}
	eventually(t, "the broker shows what is held", func() bool { return unacked("8") }) // it counts every 5 s
	for _, m := range held {
		ack(t, m)
	}
	eventually(t, "the broker has taken the acks", func() bool {
		for more := true; more; { // what was submitted before the alarm was known
			select {
			case m := <-a.Requests():
				ack(t, m)
			default:
				more = false
			}
		}
		return unacked("0")
	})
	waiting := make(chan error, 1)
	go func() { waiting <- b.Submit(within(t), broker.Request{Kind: "k", ID: "patient"}) }()
	ctl(t, n, "set_vm_memory_high_watermark", "0.8")
	if err := <-waiting; err != nil {
		t.Errorf("Submit when the alarm was over: %v", err)
	}
	for m := a.next(t); idOf(m) != "patient"; m = a.next(t) {
		ack(t, m)
	}
}

// The node that leads the queue of the requests dies while they run: what was
// confirmed completes, and clients and servers go to another node.
func TestTheLeaderOfTheQueueIsKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	c, err := rabbitnode.StartCluster(ctx, 3, rabbitnode.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL())
	}
	cfg := rabbitmq.Config{URL: strings.Join(urls, ",")}
	client := open(t, cfg)
	const n = 300
	done := make(chan string, 4*n)
	for i := range 2 {
		serve(t, open(t, cfg), fmt.Sprintf("s%d", i), 4, func(ctx context.Context, r occamy.Request) error {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			done <- r.ID
			return nil
		})
	}
	submitted := make(chan error, 1)
	var confirmed atomic.Int32
	go func() {
		for _, id := range ids("r", n) {
			if err := client.Submit(ctx, broker.Request{Kind: "k", ID: id}); err != nil {
				submitted <- err
				return
			}
			confirmed.Add(1)
		}
		submitted <- nil
	}()
	ran := make(map[string]int)
	for len(ran) < n {
		select {
		case id := <-done:
			ran[id]++
			if len(ran) == n/3 && ran[id] == 1 {
				killLeader(ctx, t, c, "occamy.request.k")
			}
		case <-ctx.Done():
			for _, node := range c.Nodes {
				for _, list := range []string{
					"list_queues name state leader online messages_ready messages_unacknowledged",
					"list_channels connection number messages_unacknowledged messages_unconfirmed",
					"list_consumers queue_name channel_pid prefetch_count active",
				} {
					out, err := node.Ctl(within(t), append([]string{"-q"}, strings.Fields(list)...)...)
					t.Logf("%s: %s: %v\n%s", node.Name(), list, err, out)
				}
			}
			t.Fatalf("%d of %d requests completed; %d were submitted", len(ran), n, confirmed.Load())
		}
	}
	if err := <-submitted; err != nil {
		t.Error(err)
	}
	again := 0
	for _, times := range ran {
		again += times - 1
	}
	t.Logf("%d of %d ran again", again, n)
}

func killLeader(ctx context.Context, t *testing.T, c *rabbitnode.Cluster, queue string) {
	t.Helper()
	out, err := c.Nodes[0].Ctl(ctx, "-q", "list_queues", "--no-table-headers", "name", "pid")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == queue {
			for _, n := range c.Nodes {
				if strings.HasPrefix(f[1], "<"+n.Name()+".") {
					if err := n.Kill(); err != nil {
						t.Fatal(err)
					}
					return
				}
			}
		}
	}
	t.Fatalf("no node leads %s: %s", queue, out)
}
