package occamytest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// A goroutine has the profiler labels of the one that started it. So those that
// a task starts are told from all others, whatever else the process does.
const labelKey = "occamytest"

// labelled runs f in this goroutine with a label.
func labelled(ctx context.Context, label string, f func(context.Context)) {
	pprof.Do(ctx, pprof.Labels(labelKey, label), f)
}

// stacks returns the stacks of the goroutines that bear the label, without
// those in which a function stands that is to be ignored.
func stacks(label string, ignored []string) []string {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return nil // a buffer takes all
	}
	var found []string
	mark := fmt.Sprintf("%q:%q", labelKey, label)
	for record := range strings.SplitSeq(b.String(), "\n\n") {
		if !strings.Contains(record, mark) {
			continue
		}
		stack := calls(record)
		if !slices.ContainsFunc(ignored, func(f string) bool { return strings.Contains(stack, f) }) {
			found = append(found, stack)
		}
	}
	return found
}

// calls has the functions of a record of the profile, each with its place.
func calls(record string) string {
	var b strings.Builder
	for line := range strings.Lines(record) {
		fields := strings.Fields(line)
		if len(fields) == 4 && fields[0] == "#" {
			function, _, _ := strings.Cut(fields[2], "+0x")
			fmt.Fprintf(&b, "\t%s\n\t\t%s\n", function, fields[3])
		}
	}
	return b.String()
}

// leakGrace is for how long a goroutine may outlive what started it.
const leakGrace = time.Second

// left waits until no goroutine bears the label, for leakGrace at most, and
// returns the stacks of those that do.
func left(label string, ignored []string) []string {
	until := time.Now().Add(leakGrace)
	for pause := time.Millisecond; ; pause *= 2 {
		found := stacks(label, ignored)
		if len(found) == 0 || time.Now().After(until) {
			return found
		}
		<-time.After(pause)
	}
}

// join shows a few of the stacks.
func join(stacks []string) string {
	const most = 3
	if n := len(stacks); n > most {
		stacks = append(slices.Clone(stacks[:most]), fmt.Sprintf("\tand %d more\n", n-most))
	}
	return strings.TrimRight(strings.Join(stacks, "\n"), "\n")
}
