package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestLogin_LetsWhoHasTheTokenIn(t *testing.T) {
	axe, err := os.ReadFile("axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	const token = "a-token-that-nobody-guesses-0123456789"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	a := serve(t, "--slots", "2", "--http-token-file", file)
	submit(t, a.connect(t), "r1")
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			t.Run(fmt.Sprintf("%s, %d wide", scheme, width), func(t *testing.T) {
				p := open(t, a.http, "/task/r1", width, 900)
				p.allow("401")
				p.allow("404") // the first to look finds nothing known yet
				p.prefer(scheme)
				p.until("it asks for the token", `location.pathname === '/login' && document.activeElement.id === 'token'`)
				p.wantNoBarriers(string(axe), "login")
				p.wantNoOverflow()
				p.run(chromedp.KeyEvent("wrong" + kb.Enter))
				p.until("it says what is wrong", `!!document.querySelector('[role=alert]')`)
				p.wantNoBarriers(string(axe), "login after a wrong token")
				p.run(chromedp.KeyEvent(token + kb.Enter))
				p.until("the page that was asked for is there", `location.pathname === '/task/r1' && !!document.querySelector('[data-testid=timeline] [data-type]')`)
			})
		}
	}
}
