package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// measuring is whether the figures are measured, which wants a machine that does
// nothing else: the tests then fail where one is not reached. Else they go
// through the same steps in less time and only look for what is out of all
// proportion.
var measuring = os.Getenv("OCCAMY_E2E_FIGURES") != ""

// within fails the test when a figure is over what it must reach, or far over
// it where nothing is measured.
func within(t *testing.T, what string, got, reach, farOver float64, unit string) {
	t.Helper()
	t.Logf("%s: %.1f %s, to reach: %.0f", what, got, unit, reach)
	if !measuring {
		reach = farOver
	}
	if got > reach {
		t.Errorf("%s: %.1f %s, over %.0f", what, got, unit, reach)
	}
}

func seconds(full, short int) time.Duration {
	if measuring {
		return time.Duration(full) * time.Second
	}
	return time.Duration(short) * time.Second
}

func TestFigure_FromAChangeToThePage(t *testing.T) {
	a := serve(t, "--broker", startFakeFleet(t, 10, 16, 40))
	p := open(t, a.http, "/", 1280, 1400)
	p.until("the fleet is shown", `document.querySelectorAll('[data-testid=server]').length >= 10`)
	pause(2 * time.Second)
	p.run(chromedp.Evaluate(`
		window.took = [];
		new MutationObserver(list => {
			const begun = [];
			for (const m of list) {
				const id = m.target.getAttribute('data-id') || '';
				if (id && id !== m.oldValue && id[0] === 't') begun.push(parseInt(id.slice(1)));
			}
			if (begun.length) requestAnimationFrame(() => setTimeout(() => { for (const b of begun) took.push(Date.now() - b); }));
		}).observe(document.querySelector('#fleet'), {subtree: true, attributes: true, attributeFilter: ['data-id'], attributeOldValue: true});`, nil))
	pause(seconds(30, 5))
	took := js[[]float64](p, `took`)
	if len(took) < 20 {
		t.Fatalf("only %d changes were shown", len(took))
	}
	slices.Sort(took)
	t.Logf("%d changes: median %.0f ms, largest %.0f ms", len(took), took[len(took)/2], took[len(took)-1])
	within(t, "99 of 100 changes are painted within", took[len(took)*99/100], 250, 2000, "ms")
}

func TestFigure_ALargeFleet(t *testing.T) {
	a := serve(t, "--broker", startFakeFleet(t, 100, 16, 1000))
	_, closeBlank := newTab(t)
	pause(seconds(5, 1))
	browser, fed, n := shares(t, a, seconds(20, 2))
	t.Logf("while nobody watches, beside an empty tab: the browser, all %d processes, %.1f %%, the server %.1f %%", n, browser, fed)
	closeBlank()
	p := open(t, a.http, "/", 1280, 900)
	p.until("the fleet is shown", `document.querySelectorAll('[data-testid=server]').length >= 100`)
	pause(seconds(10, 2))
	version := js[int](p, `+document.documentElement.dataset.version`)
	browser, fed, n = shares(t, a, seconds(30, 5))
	if now := js[int](p, `+document.documentElement.dataset.version`); now-version < 100 {
		t.Errorf("the page went from version %d to %d only", version, now)
	}
	within(t, fmt.Sprintf("the browser, all %d processes, has of a core", n), browser, 15, 150, "%")
	within(t, "the server that feeds it has of a core", fed, 5, 60, "%")
}

// shares are what the browser, of n processes, and a server have of a core, in
// percent.
func shares(t *testing.T, s *server, during time.Duration) (browser, fed float64, n int) {
	t.Helper()
	processes := browserProcesses(t)
	before, fedBefore, begun := cpu(t, processes...), cpu(t, s.cmd.Process.Pid), time.Now()
	pause(during)
	took := time.Since(begun).Seconds()
	browser = 100 * (cpu(t, processes...) - before).Seconds() / took
	fed = 100 * (cpu(t, s.cmd.Process.Pid) - fedBefore).Seconds() / took
	return browser, fed, len(processes)
}

// noteUsable has the page say when, since its navigation began, all slots of ten
// servers were there and painted.
const noteUsable = `new MutationObserver((_, o) => {
	if ('ready' in document.documentElement.dataset && document.querySelectorAll('[data-slot]').length >= 160) {
		o.disconnect();
		requestAnimationFrame(() => setTimeout(() => { window.usable = performance.now(); }));
	}
}).observe(document, {subtree: true, childList: true, attributes: true});`

func TestFigure_AColdStart(t *testing.T) {
	a := serve(t, "--broker", startFakeFleet(t, 10, 16, 20))
	rounds := 3
	if measuring {
		rounds = 11
	}
	var took []float64
	var bytes int64
	for n := range rounds {
		t.Run(strconv.Itoa(n), func(t *testing.T) { // its tab is closed before the next start
			p := open(t, a.http, "/", 1280, 900, noteUsable)
			p.until("the fleet is shown", `'usable' in window`)
			took = append(took, js[float64](p, `usable`))
			bytes = max(bytes, p.loaded())
		})
	}
	if t.Failed() {
		return
	}
	t.Logf("in turn: %.0f ms", took)
	slices.Sort(took)
	t.Logf("%d cold starts: %.0f to %.0f ms", rounds, took[0], took[rounds-1])
	within(t, "a cold start takes", took[rounds/2], 500, 5000, "ms")
	within(t, "it loads", float64(bytes)/1000, 150, 150, "kB")
}

// browserProcesses are the browser's process and all that it started.
func browserProcesses(t testing.TB) []int {
	t.Helper()
	root := chromedp.FromContext(browser).Browser.Process().Pid
	children := map[int][]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if fields := stat(pid); err == nil && len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// stat returns the fields of /proc/PID/stat from the third on; none of a process
// that has ended.
func stat(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
}

// cpu is the CPU time that processes have had. Linux tells it in hundredths of a
// second.
func cpu(t testing.TB, pids ...int) time.Duration {
	t.Helper()
	var ticks int
	for _, pid := range pids {
		fields := stat(pid)
		if len(fields) < 13 {
			continue // it has ended
		}
		for _, f := range fields[11:13] {
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
