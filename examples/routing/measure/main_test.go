package main

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"
)

func TestEachRoundHasItsLine(t *testing.T) {
	var out strings.Builder
	if err := run(&out, []string{"eil51", "berlin52"}, 20*time.Millisecond, 2, 2); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eil51", "berlin52"} {
		if got := strings.Count(out.String(), name); got != 2 {
			t.Errorf("%d lines for %s in\n%s", got, name, &out)
		}
	}
}

func TestAnUnknownInstance(t *testing.T) {
	err := run(io.Discard, []string{"nowhere"}, time.Second, 1, 1)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}
