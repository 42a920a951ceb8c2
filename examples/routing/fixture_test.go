package routing

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hub is a Sender that reaches tasks in this process without a server.
type hub struct {
	mu       sync.Mutex
	tasks    map[string][]occamy.Controller
	sent     []string         // "ID message" of each control message
	optional []broker.Request // as they came
	heard    chan struct{}    // has an element after something was sent
	cancels  map[string]context.CancelCauseFunc
}

func newHub() *hub {
	return &hub{tasks: map[string][]occamy.Controller{}, heard: make(chan struct{}, 1)}
}

func (h *hub) add(id string, c occamy.Controller) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tasks[id] = append(h.tasks[id], c)
}

func (h *hub) Control(ctx context.Context, id string, headers occamy.Headers, body []byte) error {
	h.mu.Lock()
	tasks := h.tasks[id]
	h.sent = append(h.sent, fmt.Sprint(id, " ", headers[headerMessage]))
	h.mu.Unlock()
	defer wake(h.heard)
	if len(tasks) == 0 {
		return broker.ErrNobody
	}
	for _, t := range tasks {
		if err := t.Control(ctx, headers, body); err != nil {
			return err
		}
	}
	return nil
}

func (h *hub) Optional(_ context.Context, r broker.Request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.optional = append(h.optional, r)
	wake(h.heard)
	return nil
}

func (h *hub) Cancel(_ context.Context, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = append(h.sent, id+" cancel")
	if end := h.cancels[id]; end != nil {
		end(occamy.ErrCancelled)
	}
	return nil
}

func (h *hub) count(message string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sent {
		if s == message {
			n++
		}
	}
	return n
}

// waitFor waits until done says so, which it is asked after each message.
func (h *hub) waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-h.heard:
		case <-t.Context().Done():
			t.Fatalf("the test ended before %s", what)
		}
	}
}

func request(t testing.TB, name string, headers occamy.Headers) occamy.Request {
	t.Helper()
	return occamy.Request{Kind: Kind, ID: "trip", Headers: headers, Body: mustFile(t, name), Attempt: 1}
}

func mustHandle[T occamy.Task](t testing.TB, s Sender, r occamy.Request) T {
	t.Helper()
	task, err := NewHandler(s).Handle(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := task.(T)
	if !ok {
		t.Fatalf("the handler gave a %T", task)
	}
	return got
}

// start runs Do until the returned stop is called, which returns what Do did.
func start(task occamy.Task) (stop func(cause error) error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Do(ctx) }()
	return func(cause error) error {
		cancel(cause)
		return <-done
	}
}

// cloud is an instance of n cities in a square, in no order.
func cloud(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "NAME: cloud%d\nDIMENSION: %d\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n", n, n)
	x, y := 1, 1
	for i := range n {
		x, y = x*48271%(1<<31-1), y*16807%(1<<31-1)
		fmt.Fprintf(&b, "%d %d %d\n", i+1, x%1_000_000, y%1_000_000)
	}
	return b.String()
}
