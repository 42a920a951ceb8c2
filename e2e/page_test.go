package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/client"
)

const live = `document.querySelector('[data-testid=connection]').dataset.state === 'live' && 'ready' in document.documentElement.dataset`

// wantSnapshot waits until the page shows what the servers say, which must be
// within a second of their saying it.
func (tb *tab) wantSnapshot(c *client.Client) {
	tb.Helper()
	var want, got string
	for begun := time.Now(); time.Since(begun) < patience; {
		want = snapshots(tb, c)
		for since := time.Now(); time.Since(since) < time.Second; pause(20 * time.Millisecond) {
			if got = js[string](tb, drawn); got == want {
				return
			}
		}
		if snapshots(tb, c) == want { // else there was a change meanwhile
			break
		}
	}
	tb.Fatalf("the page shows\n%s\nthe servers say\n%s", got, want)
}

func TestPage_ShowsWhatTheServersSay(t *testing.T) {
	a := serve(t, "--slots", "4")
	c := a.connect(t)
	p := open(t, a.http, "/", 1280, 900)
	p.until("the page is live", live)
	p.wantSnapshot(c)

	submit(t, c, "r1")
	p.until("a request alone grows onto every slot", `document.querySelectorAll('[data-slot][data-request="r1"]').length === 4`)
	p.wantSnapshot(c)

	submit(t, c, "r2")
	p.until("a second one starts", `document.querySelectorAll('[data-id="r2"][data-status=protected]').length === 1`)
	p.wantSnapshot(c)
	p.until("it is in the table", `!!document.querySelector('[data-testid=task-row][data-id="r2"]')`)
	p.until("what happened is listed", `!!document.querySelector('[data-testid=event][data-type=preempted]')`)

	b := serve(t, "--broker", a.broker, "--slots", "2")
	p.untilWithin("another server joins", fmt.Sprintf(`!!document.querySelector('[data-server=%q]')`, b.id), 3*time.Second)
	p.wantSnapshot(c)
	other := open(t, b.http, "/", 1280, 900)
	other.until("any server's page shows all", `document.querySelectorAll('[data-testid=server]').length === 2`)
	other.wantSnapshot(c)

	other.allow("ERR_") // its server dies
	b.end(syscall.SIGKILL)
	p.untilWithin("a server that vanished is gone", fmt.Sprintf(`document.querySelector('[data-testid=server][data-server=%q]').dataset.state === 'gone'`, b.id), 10*time.Second)
	p.until("it counts no more", `document.getElementById('n-used').textContent === '4 of 4' && document.getElementById('n-external').textContent === '0'`)
	other.until("a page without a server says so", `document.querySelector('[data-testid=connection]').dataset.state === 'cut'`)
}

func TestPage_DrainsAndResumesAServer(t *testing.T) {
	a := serve(t, "--slots", "2")
	p := open(t, a.http, "/", 1280, 900)
	p.until("the page is live", live)
	for _, what := range []struct{ button, state string }{{"drain", "draining"}, {"resume", "up"}} {
		p.until("there is a button", fmt.Sprintf(`!!document.querySelector('[data-testid=%s]')`, what.button))
		p.click(testid(what.button))
		p.until("it asks first", `document.querySelector('[data-testid=confirm]').open`)
		p.click(testid("confirm-ok"))
		p.untilWithin("the server is "+what.state, fmt.Sprintf(`document.querySelector('[data-testid=server]').dataset.state === '%s'`, what.state), 3*time.Second)
	}
}

func TestPage_CancelsATask(t *testing.T) {
	a := serve(t, "--slots", "2")
	c := a.connect(t)
	submit(t, c, "r1")
	ended := make(chan error, 1)
	go func() { _, err := c.Wait(t.Context(), "r1", nil); ended <- err }()
	p := open(t, a.http, "/", 1280, 900)
	row := `[data-testid=task-row][data-id="r1"]`
	p.until("the request is in the table", fmt.Sprintf(`!!document.querySelector('%s')`, row))
	p.click(row + " " + testid("cancel"))
	p.until("it asks first", `document.querySelector('[data-testid=confirm]').open`)
	p.click(testid("confirm-back"))
	p.until("one may think better of it", `!document.querySelector('[data-testid=confirm]').open`)
	select {
	case err := <-ended:
		t.Fatalf("the request ended without consent: %v", err)
	default:
	}
	p.click(row + " " + testid("cancel"))
	p.click(testid("confirm-ok"))
	select {
	case err := <-ended:
		if !errors.Is(err, occamy.ErrCancelled) {
			t.Errorf("the request ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the request goes on")
	}
	p.until("its slots are empty", `document.querySelectorAll('[data-slot][data-status=empty]').length === 2`)
}

func TestPage_OfATaskTellsItsLifeAndResult(t *testing.T) {
	a := serve(t, "--slots", "3")
	c := a.connect(t)
	p := open(t, a.http, "/task/r1", 1280, 900)
	p.allow("404") // nothing is known of it yet
	submitFor(t, c, "r1", "berlin52", 4*time.Second)
	p.until("it starts", `!!document.querySelector('[data-testid=task] [data-testid=timeline] [data-type=started]')`)
	p.until("its assistants are listed", `document.querySelectorAll('#task-slots tbody tr').length > 0`)
	p.until("it ends", `!!document.querySelector('[data-testid=timeline] [data-type=acked]')`)
	p.until("the result is there", `document.querySelector('[data-testid=result]').textContent.includes('7542')`)
}

// hostile are texts that must stay texts.
var hostile = []string{
	`<img src=x onerror="document.title='owned'">`,
	`"><script>document.title='owned'</script>`,
	`javascript:document.title='owned'`,
	`' onmouseover='document.title=1' x='`,
	"a\u202Egnp.exe", `{{constructor.constructor('alert(1)')()}}`, `../../api/task/cancel`, `..`, `%2e%2e%2f?#&`,
	strings.Repeat("long", 120),
}

func TestPage_HostileTextStaysText(t *testing.T) {
	a := serve(t, "--slots", "12")
	c := a.connect(t)
	for _, id := range hostile {
		submit(t, c, id)
	}
	for _, width := range []int64{1280, 360} {
		p := open(t, a.http, "/", width, 900)
		p.allow("404")
		p.until("all are shown", fmt.Sprintf(`document.querySelectorAll('[data-status=protected]').length === %d`, len(hostile)))
		for _, id := range hostile {
			p.until(id, fmt.Sprintf(`[...document.querySelectorAll('[data-testid=task-row]')].some(r => r.dataset.id === %q)`, id))
		}
		p.wantHarmless()
		if width > 600 {
			continue // their own pages are harder on a phone
		}
		for _, id := range hostile {
			p.run(chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll('[data-testid=task-row]')].find(r => r.dataset.id === %q).querySelector('a').click()`, id), nil))
			p.until("its page", fmt.Sprintf(`document.querySelector('[data-testid=task]').dataset.id === %q && !document.querySelector('[data-testid=task]').hidden`, id))
			p.until("its life", `!!document.querySelector('[data-testid=timeline] [data-type]')`)
			p.wantHarmless()
			p.run(chromedp.NavigateBack())
			p.until("back at the fleet", `!document.querySelector('#fleet-view').hidden`)
		}
	}
	for _, id := range hostile {
		if err := c.Cancel(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

// wantHarmless fails when text became markup, or the page is wider than the
// window.
func (tb *tab) wantHarmless() {
	tb.Helper()
	if n := js[int](tb, `document.querySelectorAll('main img, main script, main iframe, [onerror], [onmouseover], a[href^="javascript:"]').length`); n > 0 {
		tb.Errorf("%d elements came of text", n)
	}
	if title := js[string](tb, `document.title`); strings.Contains(title, "owned") && !strings.Contains(title, "document") || title == "1" {
		tb.Errorf("a text ran: the title is %q", title)
	}
	tb.wantNoOverflow()
}

func (tb *tab) wantNoOverflow() {
	tb.Helper()
	if over := js[int](tb, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		tb.Errorf("the page is %d pixels wider than the window", over)
	}
}

func TestPage_ACutConnectionIsShownAndHeals(t *testing.T) {
	a := serve(t, "--slots", "2")
	c := a.connect(t)
	p := open(t, a.http, "/", 1280, 900)
	p.until("the page is live", live)
	signal := func(s syscall.Signal) {
		if err := a.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = a.cmd.Process.Signal(syscall.SIGCONT) })
	p.allow("ERR_")
	p.untilWithin("the cut is shown", `document.querySelector('[data-testid=connection]').dataset.state === 'cut'`, time.Minute)
	signal(syscall.SIGCONT)
	submit(t, c, "r1")
	p.until("it heals", live)
	p.wantSnapshot(c)
}

func TestPage_ServesTheKeyboard(t *testing.T) {
	a := serve(t, "--slots", "2")
	c := a.connect(t)
	submit(t, c, "r1")
	p := open(t, a.http, "/", 1280, 900)
	row := `[data-testid=task-row][data-id="r1"] `
	p.until("the request is in the table", fmt.Sprintf(`!!document.querySelector('%s')`, row))
	focused := func(selector string) bool {
		return js[bool](p, fmt.Sprintf(`document.activeElement === document.querySelector('%s')`, selector))
	}
	for presses := 0; !focused(row + testid("cancel")); presses++ {
		if presses > 60 {
			t.Fatal("60 presses of Tab do not reach the button")
		}
		p.run(chromedp.KeyEvent(kb.Tab))
		if outline := js[string](p, `(s => s.outlineStyle + s.boxShadow)(getComputedStyle(document.activeElement))`); outline == "nonenone" {
			t.Errorf("no sign of the focus on %s", js[string](p, `document.activeElement.outerHTML.slice(0, 200)`))
		}
	}
	p.run(chromedp.KeyEvent(kb.Enter))
	p.until("it asks", `document.querySelector('[data-testid=confirm]').open`)
	p.run(chromedp.KeyEvent(kb.Escape))
	p.until("Escape closes it", `!document.querySelector('[data-testid=confirm]').open`)
	if !focused(row + testid("cancel")) {
		t.Error("the focus did not return")
	}
	p.run(chromedp.KeyEvent(kb.Enter))
	p.until("it asks", `document.querySelector('[data-testid=confirm]').open`)
	for presses := 0; !focused(testid("confirm-ok")) && presses < 5; presses++ {
		p.run(chromedp.KeyEvent(kb.Tab))
	}
	p.run(chromedp.KeyEvent(kb.Enter))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Wait(ctx, "r1", nil); !errors.Is(err, occamy.ErrCancelled) {
		t.Errorf("the request ended with %v", err)
	}
}

func TestPage_HasNoBarriers(t *testing.T) {
	axe, err := os.ReadFile("axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	a := serve(t, "--slots", "4")
	c := a.connect(t)
	submit(t, c, "r1")
	submit(t, c, "r2")
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			t.Run(fmt.Sprintf("%s, %d wide", scheme, width), func(t *testing.T) {
				p := open(t, a.http, "/", width, 900)
				p.prefer(scheme)
				p.until("the requests are shown", `document.querySelectorAll('[data-testid=task-row]').length === 2`)
				p.wantNoBarriers(string(axe), "fleet")
				p.wantNoOverflow()
				p.click(`[data-testid=task-row] ` + testid("cancel"))
				p.until("it asks", `document.querySelector('[data-testid=confirm]').open`)
				p.wantNoBarriers(string(axe), "dialog")
				p.click(testid("confirm-back"))
				p.click(`[data-testid=task-row] a`)
				p.until("its page", `!document.querySelector('[data-testid=task]').hidden && !!document.querySelector('[data-testid=timeline] [data-type]')`)
				p.wantNoBarriers(string(axe), "task")
				p.wantNoOverflow()
			})
		}
	}
}
