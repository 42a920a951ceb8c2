package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// plainEvery is the pause between lines of progress where there is no terminal.
const plainEvery = time.Second

// progressView shows the progress of a task: how long it has been waited for and
// a bar, drawn over on a terminal; a line now and then elsewhere.
type progressView struct {
	w        io.Writer
	terminal bool
	columns  func() int // of the terminal now
	start    time.Time
	last     time.Time // of a line where there is no terminal
	stop     func()

	mu       sync.Mutex
	progress []byte // guarded by mu
	drawn    int    // columns of what stands on the terminal; guarded by mu
}

// newProgressView begins to show. Call end.
func newProgressView(w io.Writer) *progressView {
	v := &progressView{w: w, terminal: isTerminal(w), columns: func() int { return 80 }, start: time.Now(), stop: func() {}}
	if f, ok := w.(*os.File); ok && v.terminal {
		v.columns = func() int {
			if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
				return columns
			}
			return 80
		}
	}
	if v.terminal {
		v.keepDrawing()
	}
	return v
}

// keepDrawing draws each second until end, so that the time goes on.
func (v *progressView) keepDrawing() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	v.stop = sync.OnceFunc(func() {
		close(stop)
		<-stopped
	})
	go func() {
		defer close(stopped)
		second := time.NewTicker(time.Second)
		defer second.Stop()
		for {
			select {
			case <-stop:
				return
			case <-second.C:
				v.mu.Lock()
				v.draw()
				v.mu.Unlock()
			}
		}
	}()
}

// show shows what a task reported.
func (v *progressView) show(progress []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress = progress
	if v.terminal {
		v.draw()
		return
	}
	if now := time.Now(); v.last.IsZero() || now.Sub(v.last) >= plainEvery {
		v.last = now
		fraction, text := readProgress(progress)
		fmt.Fprintln(v.w, clip("progress: "+percent(fraction)+text, 120))
	}
}

// draw draws over what stands there. The caller holds the lock.
func (v *progressView) draw() {
	columns := v.columns()
	line := fmt.Sprintf("%7s ", age(time.Since(v.start)))
	if v.progress != nil {
		fraction, text := readProgress(v.progress)
		line += bar(fraction, min(barWidth, columns/3)) + text
	}
	line = ansi.Truncate(line, columns-1, "…")
	fmt.Fprint(v.w, v.erase(columns)+line)
	v.drawn = ansi.StringWidth(line)
}

// erase removes what stands there, of which a terminal that became narrower has
// made several lines. It clears line by line: some terminals keep what is cleared
// from the top of the screen on as if it had scrolled by. The caller holds the lock.
func (v *progressView) erase(columns int) string {
	above := max(v.drawn-1, 0) / columns
	v.drawn = 0
	return "\r\x1b[K" + strings.Repeat("\x1b[A\x1b[K", above)
}

// end clears the bar.
func (v *progressView) end() {
	v.stop()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.drawn > 0 {
		fmt.Fprint(v.w, v.erase(v.columns()))
	}
}

// barWidth is how wide a bar is at most.
const barWidth = 30

func bar(fraction float64, width int) string {
	if fraction < 0 || width <= 0 {
		return percent(fraction)
	}
	full := int(fraction*float64(width) + 0.5)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "] " + percent(fraction)
}

func percent(fraction float64) string {
	if fraction < 0 {
		return ""
	}
	return fmt.Sprintf("%3.0f %% ", fraction*100)
}

// readProgress finds the fraction in a progress that is a JSON object, -1 when
// there is none, and tells the rest as text. Lists and objects are left out.
func readProgress(progress []byte) (fraction float64, text string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(progress, &fields) != nil {
		return -1, escape(firstLine(string(progress)))
	}
	fraction = -1
	var f float64
	if raw, ok := fields["fraction"]; ok && json.Unmarshal(raw, &f) == nil {
		fraction = min(max(f, 0), 1)
		delete(fields, "fraction")
	}
	var words []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[key])
		if value == "" || value[0] == '{' || value[0] == '[' || value == "null" {
			continue
		}
		words = append(words, escape(key)+"="+escape(strings.Trim(value, `"`)))
	}
	return fraction, strings.Join(words, " ")
}
