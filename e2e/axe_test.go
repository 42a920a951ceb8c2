package e2e

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// prefer has the browser prefer a colour scheme.
func (tb *tab) prefer(scheme string) {
	tb.Helper()
	tb.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

// wantNoBarriers has axe-core look at what the tab shows, from a world of its
// own that the page's security policy does not bind.
func (tb *tab) wantNoBarriers(axe, what string) {
	tb.Helper()
	var found []string
	tb.run(chromedp.ActionFunc(func(ctx context.Context) error {
		tree, err := page.GetFrameTree().Do(ctx)
		if err != nil {
			return err
		}
		world, err := page.CreateIsolatedWorld(tree.Frame.ID).Do(ctx)
		if err != nil {
			return err
		}
		if _, exception, err := runtime.Evaluate(axe).WithContextID(world).Do(ctx); err != nil || exception != nil {
			return errorOr(err, exception)
		}
		look := `axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r =>
			r.violations.map(v => v.id + ': ' + v.help + '\n    ' + v.nodes.map(n => n.html.slice(0, 200) + ' ' + n.failureSummary).join('\n    ')).join('\0'))`
		result, exception, err := runtime.Evaluate(look).WithContextID(world).WithAwaitPromise(true).WithReturnByValue(true).Do(ctx)
		if err != nil || exception != nil {
			return errorOr(err, exception)
		}
		var all string
		if err := json.Unmarshal(result.Value, &all); err != nil {
			return err
		}
		if all != "" {
			found = strings.Split(all, "\x00")
		}
		return nil
	}))
	for _, f := range found {
		tb.Errorf("%s: %s", what, f)
	}
}

func errorOr(err error, exception *runtime.ExceptionDetails) error {
	if err != nil {
		return err
	}
	return exception
}
