package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// wantHealed waits until the page is live again, with what the servers say, and
// by itself: nobody loaded it again.
func (tb *tab) wantHealed(s *server) {
	tb.Helper()
	tb.until("it heals", live)
	tb.wantSnapshot(s.connect(tb))
	if !js[bool](tb, `window.sameDocument === true`) {
		tb.Error("the page was loaded again")
	}
}

const sameDocument = `window.sameDocument = true`

const cutShown = `document.querySelector('[data-testid=connection]').dataset.state === 'cut'`

func TestPage_HealsWhenTheNetworkIsCut(t *testing.T) {
	a := serve(t, "--slots", "2")
	l := newLine(t, a.http)
	p := open(t, l.http, "/", 1280, 900)
	js[bool](p, sameDocument)
	p.until("the page is live", live)
	p.allow("ERR_")
	for _, id := range []string{"r1", "r2"} {
		l.cut()
		p.until("the cut is shown", cutShown)
		submit(t, a.connect(t), id)
		l.mend()
		p.wantHealed(a)
	}
}

func TestPage_HealsWhenItsServerIsRestarted(t *testing.T) {
	a := serve(t, "--slots", "2")
	address := freeAddress(t)
	b := serve(t, "--broker", a.broker, "--slots", "1", "--http", address)
	p := open(t, "http://"+address, "/", 1280, 900)
	js[bool](p, sameDocument)
	p.until("the page is live", live)
	p.allow("ERR_")
	b.end(syscall.SIGKILL)
	p.until("the cut is shown", cutShown)
	submit(t, a.connect(t), "r1")
	serve(t, "--broker", a.broker, "--slots", "3", "--http", address)
	p.wantHealed(a)
}

// line is a way to a site that can be cut.
type line struct {
	http, to string

	mu    sync.Mutex
	whole bool       // guarded by mu
	ends  []net.Conn // guarded by mu
}

func newLine(t *testing.T, site string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{http: "http://" + listener.Addr().String(), to: strings.TrimPrefix(site, "http://"), whole: true}
	var carrying sync.WaitGroup
	carrying.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			carrying.Go(func() { l.carry(from) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		carrying.Wait()
	})
	return l
}

// carry carries bytes both ways, until one end closes or the line is cut.
func (l *line) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer to.Close()
	l.mu.Lock()
	if !l.whole {
		l.mu.Unlock()
		return
	}
	l.ends = append(l.ends, from, to)
	l.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	})
	_, _ = io.Copy(to, from)
	_ = to.Close()
	back.Wait()
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = false
	for _, c := range l.ends {
		_ = c.Close()
	}
	l.ends = nil
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = true
}

// What the page loads last may be cut off while all else is there.
func TestPage_HasItsChartAfterAll(t *testing.T) {
	a := serve(t, "--slots", "1")
	for _, part := range []string{"chart.js", "uplot.js"} {
		t.Run(part, func(t *testing.T) {
			l := newLine(t, a.http)
			p := open(t, l.http, "/assets/icon.svg", 1280, 900)
			p.allow("ERR_")
			p.run(network.SetBlockedURLs([]string{"*/" + part}), chromedp.Navigate(l.http+"/"))
			p.until("the page is live without it", live)
			p.until("it did not come", fmt.Sprintf(`performance.getEntriesByType('resource').some(e => e.name.endsWith('/%s'))`, part))
			p.run(network.SetBlockedURLs([]string{}))
			l.cut()
			p.until("the cut is shown", cutShown)
			l.mend()
			p.until("it heals", live)
			p.until("the chart is there", `!!document.querySelector('[data-testid=chart] canvas')`)
		})
	}
}
