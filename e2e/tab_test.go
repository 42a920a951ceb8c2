package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// tab is a tab of the browser, with cookies and a cache of its own. It fails the
// test for what a page must never do: complain on the console, break its own
// security policy, open a dialog of the browser's, or call another host.
type tab struct {
	testing.TB
	ctx    context.Context
	origin string

	mu       sync.Mutex
	problems []string                    // guarded by mu
	allowed  []string                    // parts of complaints that the test causes; guarded by mu
	bytes    int64                       // that came over the network, of answers that ended; guarded by mu
	coming   map[network.RequestID]int64 // of those that have not, unpacked; guarded by mu
}

// open opens a tab of a size at a page of a site. scripts run before the page's own.
func open(t testing.TB, site, path string, width, height int64, scripts ...string) *tab {
	t.Helper()
	ctx, cancel := newTab(t)
	ctx, stop := context.WithTimeout(ctx, 3*time.Minute)
	tb := &tab{TB: t, ctx: ctx, origin: site, coming: map[network.RequestID]int64{}}
	chromedp.ListenTarget(ctx, tb.hear)
	tb.run(network.Enable(), log.Enable(), emulation.SetDeviceMetricsOverride(width, height, 1, width < 600))
	for _, script := range scripts {
		tb.run(chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
			return err
		}))
	}
	t.Cleanup(func() {
		if t.Failed() {
			tb.picture(fmt.Sprintf("%s/%s.png", os.TempDir(), strings.ReplaceAll(t.Name(), "/", "-")))
		}
		stop()
		cancel()
		tb.mu.Lock()
		defer tb.mu.Unlock()
		for _, p := range tb.problems {
			t.Error(p)
		}
	})
	tb.run(chromedp.Navigate(site + path))
	return tb
}

// newTab opens a window of its own, with cookies and a cache of its own.
func newTab(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	var id target.ID
	var own cdp.BrowserContextID
	err := chromedp.Run(browser, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		ctx = cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser)
		if own, err = target.CreateBrowserContext().Do(ctx); err != nil {
			return err
		}
		id, err = target.CreateTarget("about:blank").WithBrowserContextID(own).WithNewWindow(true).Do(ctx)
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithTargetID(id))
	return ctx, func() {
		cancel()
		_ = chromedp.Run(browser, chromedp.ActionFunc(func(ctx context.Context) error {
			return target.DisposeBrowserContext(own).Do(cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser))
		}))
	}
}

func (tb *tab) hear(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	complain := func(format string, args ...any) {
		problem := fmt.Sprintf(format, args...)
		for _, part := range tb.allowed {
			if strings.Contains(problem, part) {
				return
			}
		}
		tb.problems = append(tb.problems, problem)
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complain("exception on the page: %v", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			var said []string
			for _, a := range e.Args {
				said = append(said, string(a.Value)+a.Description)
			}
			complain("console %s: %s", e.Type, strings.Join(said, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			complain("browser log: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		complain("the page opened a dialog of the browser: %s", e.Message)
		go func() { _ = chromedp.Run(tb.ctx, page.HandleJavaScriptDialog(false)) }()
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" && !strings.HasPrefix(e.Request.URL, tb.origin+"/") {
			complain("the page called %q", e.Request.URL)
		}
	case *network.EventLoadingFinished:
		tb.bytes += int64(e.EncodedDataLength)
		delete(tb.coming, e.RequestID)
	case *network.EventDataReceived:
		tb.coming[e.RequestID] += e.DataLength
	}
}

// loaded is how many bytes came so far.
func (tb *tab) loaded() int64 {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	sum := tb.bytes
	for _, n := range tb.coming {
		sum += n
	}
	return sum
}

// allow lets the page complain of what the test does to it.
func (tb *tab) allow(part string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.allowed = append(tb.allowed, part)
}

func (tb *tab) run(actions ...chromedp.Action) {
	tb.Helper()
	if err := chromedp.Run(tb.ctx, actions...); err != nil {
		tb.Fatal(err)
	}
}

// js returns what an expression is on the page.
func js[T any](tb *tab, expression string) T {
	tb.Helper()
	var v T
	tb.run(chromedp.Evaluate(expression, &v))
	return v
}

// until waits until an expression is true on the page, and returns how long that
// took.
func (tb *tab) until(what, expression string) time.Duration {
	tb.Helper()
	return tb.untilWithin(what, expression, patience)
}

func (tb *tab) untilWithin(what, expression string, most time.Duration) time.Duration {
	tb.Helper()
	begun := time.Now()
	for !js[bool](tb, expression) {
		if time.Since(begun) > most {
			tb.Fatalf("%s: not within %v; the page says\n%s", what, most, js[string](tb, "document.body.innerText"))
		}
		pause(20 * time.Millisecond)
	}
	return time.Since(begun)
}

// pause is between two looks at something that has no way to tell.
func pause(d time.Duration) { <-time.After(d) }

// click clicks on the one element that a selector finds, as a mouse does.
func (tb *tab) click(selector string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible)); err != nil {
		tb.Fatalf("click %s: %v", selector, err)
	}
}

// picture writes what the tab shows.
func (tb *tab) picture(file string) {
	var png []byte
	ctx, cancel := context.WithTimeout(tb.ctx, 10*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&png)); err != nil {
		tb.Logf("no picture: %v", err)
		return
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		tb.Errorf("picture: %v", err)
		return
	}
	tb.Logf("picture: %s", file)
}

// testid is the selector of an element by its data-testid.
func testid(id string) string { return `[data-testid="` + id + `"]` }
