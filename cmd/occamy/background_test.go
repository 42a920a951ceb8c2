package main

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestErrorsDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		b := &background{say: func(line string) { lines = append(lines, line) }}
		for range 1000 {
			b.tell("error")
		}
		if len(lines) != backgroundLines {
			t.Errorf("%d lines of 1000, want %d", len(lines), backgroundLines)
		}
		<-time.After(backgroundPeriod)
		lines = nil
		b.tell("error")
		b.end()
		b.end()
		if want := []string{"980 more such lines were left out", "error"}; !slices.Equal(lines, want) {
			t.Errorf("then it says %q, want %q", lines, want)
		}
		lines = nil
		for range backgroundLines + 3 {
			b.tell("error")
		}
		b.end()
		if n := len(lines); n != backgroundLines || lines[n-1] != "4 more such lines were left out" {
			t.Errorf("%d lines, the last %q", n, lines[n-1])
		}
	})
}
