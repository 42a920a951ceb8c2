package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/client"
)

// strange are texts that no server of this program lets through, but that
// somebody else may announce.
var strange = []string{"a\x00b\x1b[31m\x07c", "two\nlines\tand more", strings.Repeat("ten kilobytes ", 750)}

// Whoever reaches the broker can announce a server, whatever its texts say.
func TestPage_HostileServersStayText(t *testing.T) {
	a := serve(t, "--slots", "1")
	for i, text := range slices.Concat(hostile, strange) {
		s := newFakeServer(fmt.Sprintf("%d%.500s", i, text), 2, a.open(t))
		s.snap.Kinds = []string{text}
		s.snap.Slots[0] = occamy.SlotInfo{
			Status: occamy.Protected, Phase: occamy.Running, ID: text, Kind: text, Request: text, Owner: text, Attempt: 1, Since: time.Now(),
		}
		s.monitors.Resource.RecordSlot(occamy.SlotChange{
			Server: s.snap.Server, From: occamy.Empty, To: occamy.Protected, Phase: occamy.Running,
			ID: text, Kind: text, Request: text, Owner: text, Attempt: 1, Time: time.Now(),
		})
		s.run(t)
	}
	for _, width := range []int64{1280, 360} {
		p := open(t, a.http, "/", width, 900)
		p.until("all are shown", fmt.Sprintf(`document.querySelectorAll('[data-testid=server] [data-status=protected]').length === %d`, len(hostile)+len(strange)))
		p.until("what happened is listed", `document.querySelectorAll('[data-testid=event]').length > 0`)
		p.wantHarmless()
		for i, text := range hostile {
			server := fmt.Sprintf("%d%.500s", i, text)
			p.run(chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll('[data-testid=drain]')].find(b => b.dataset.server === %q).click()`, server), nil))
			p.until("it asks whether to drain "+server, `document.querySelector('[data-testid=confirm]').open`)
			p.wantHarmless()
			p.click(testid("confirm-back"))
		}
	}
}

// oneResult is a task that has a result.
type oneResult struct{ result string }

func (oneResult) Details() occamy.Details { return occamy.Details{} }

func (r oneResult) Do(ctx context.Context) error { return occamy.SetResult(ctx, []byte(r.result)) }

func TestPage_HostileResultsStayText(t *testing.T) {
	a := serve(t, "--slots", "1")
	b := a.open(t)
	const kind = `<img src=x onerror="document.title='owned'">`
	var mux occamy.Mux
	mux.AddFunc(kind, func(_ context.Context, r occamy.Request) (occamy.Task, error) { return oneResult{string(r.Body)}, nil })
	s, err := occamy.New(occamy.Config{ID: kind, Slots: 1, Handler: &mux})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.WithoutCancel(t.Context()), b) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	results := slices.Concat(hostile, strange, []string{`{"<img src=x onerror=alert(1)>": "</pre><script>document.title='owned'</script>"}`})
	for i, result := range results {
		id := fmt.Sprintf("r%d", i)
		if _, err := client.New(b).SubmitAndWait(t.Context(), client.Request{Kind: kind, ID: id, Body: []byte(result)}, nil); err != nil {
			t.Fatal(err)
		}
		p := open(t, a.http, "/task/"+id, 360, 740)
		p.until("the result is shown", `document.querySelector('[data-testid=result]').textContent !== ''`)
		if got := js[string](p, `document.querySelector('[data-testid=result]').textContent`); got != result && !strings.HasPrefix(result, "{") {
			t.Errorf("the result is shown as %.200q, was %.200q", got, result)
		}
		p.wantHarmless()
	}
}

// run has the server announced until the test ends.
func (s *fakeServer) run(t *testing.T) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.announcer.Run(ctx, s) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%.100q: %v", s.snap.Server, err)
		}
	})
}

// open connects to a server's broker.
func (s *server) open(t testing.TB) *nats.Broker {
	t.Helper()
	b, err := nats.Open(t.Context(), nats.Config{URL: s.broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
