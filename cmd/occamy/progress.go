package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"
)

// plainEvery is the pause between lines of progress where there is no terminal.
const plainEvery = time.Second

// progressView shows the progress of a task: a bar that is drawn over on a
// terminal, a line now and then elsewhere.
type progressView struct {
	w        io.Writer
	terminal bool
	columns  int
	drawn    bool
	last     time.Time
}

func newProgressView(w io.Writer) *progressView {
	v := &progressView{w: w, terminal: isTerminal(w), columns: 80}
	if f, ok := w.(*os.File); ok && v.terminal {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			v.columns = columns
		}
	}
	return v
}

// show shows what a task reported.
func (v *progressView) show(progress []byte) {
	fraction, text := readProgress(progress)
	if v.terminal {
		fmt.Fprint(v.w, "\r\x1b[K"+clip(bar(fraction)+text, v.columns-1))
		v.drawn = true
		return
	}
	if now := time.Now(); v.last.IsZero() || now.Sub(v.last) >= plainEvery {
		v.last = now
		fmt.Fprintln(v.w, clip("progress: "+percent(fraction)+text, 120))
	}
}

// end clears the bar.
func (v *progressView) end() {
	if v.drawn {
		fmt.Fprint(v.w, "\r\x1b[K")
		v.drawn = false
	}
}

const barWidth = 30

func bar(fraction float64) string {
	if fraction < 0 {
		return ""
	}
	full := int(fraction*barWidth + 0.5)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] " + percent(fraction)
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
