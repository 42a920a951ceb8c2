//go:build services && !nonodes

package rabbitmq_test

import (
	"context"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/rabbitmq"
	"github.com/occamy-go/occamy/internal/rabbitnode"
	"github.com/occamy-go/occamy/occamytest"
)

// job is a task that ends with a result once it may.
type job struct {
	started chan<- struct{}
	may     <-chan struct{}
}

func (job) Details() occamy.Details { return occamy.Details{} }

func (j job) Do(ctx context.Context) error {
	j.started <- struct{}{}
	select {
	case <-j.may:
		return occamy.SetResult(ctx, []byte("result"))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// While the broker has no memory it takes no outcome. The request that could
// not be settled for that must not stay with the server afterwards, nor the
// credit that it takes.
func TestAServerWorksOnAfterTheBrokerTookNothingForTooLong(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	node, err := rabbitnode.Start(ctx, rabbitnode.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	})
	ctl := func(args ...string) {
		t.Helper()
		if _, err := node.Ctl(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, rabbitmq.Config{URL: node.URL()})
	started, may := make(chan struct{}, 10), make(chan struct{})
	monitor := &occamytest.Monitor{}
	var mux occamy.Mux
	mux.AddFunc("k", func(context.Context, occamy.Request) (occamy.Task, error) { return job{started, may}, nil })
	server, err := occamy.New(occamy.Config{
		Handler: &mux, Slots: 1, SettleTimeout: time.Second, Monitors: occamy.Monitors{Error: monitor},
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), b) }()
	t.Cleanup(func() {
		if err := server.Shutdown(within(t)); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	submit(t, b, "k", "r1")
	select {
	case <-started:
	case <-ctx.Done():
		t.Fatal("it never started")
	}
	ctl("set_vm_memory_high_watermark", "0.00001")
	eventually(t, "the broker says that it takes nothing", func() bool {
		if !b.IsBlocked() { // it says so to who publishes
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			_ = b.Command(short, occamy.Headers{}) // the test is about what follows
		}
		return b.IsBlocked()
	})
	close(may)
	if err := monitor.WaitError(within(t), occamy.ErrNotSettled); err == nil {
		t.Fatal("it was settled, though the broker takes nothing")
	}
	ctl("set_vm_memory_high_watermark", "0.9")
	eventually(t, "the request is settled", func() bool {
		o, err := b.Result(ctx, "r1")
		return err == nil && o.Status == occamy.Completed
	})
	submit(t, b, "k", "r2")
	eventually(t, "the next request is served", func() bool {
		o, err := b.Result(ctx, "r2")
		return err == nil && o.Status == occamy.Completed
	})
}
