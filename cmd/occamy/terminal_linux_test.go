package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// openTerminal returns both ends of a terminal: what a person has and what a
// program has.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() }) // a test may have closed it
		return f
	}
	person = open("/dev/ptmx")
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return person, open(fmt.Sprintf("/dev/pts/%d", n))
}

func TestNothingOfTheBarIsLeftAtTheResult(t *testing.T) {
	person, program := openTerminal(t)
	events := append([]broker.Event{{Progress: []byte(`{"fraction":0.42}`)}}, completed("done")...)
	b := &fakeBroker{servers: []occamy.Snapshot{routeServer}, events: events}
	a := &app{
		stdin: program, stdout: program, stderr: program, getenv: func(string) string { return "" },
		connect: func(context.Context, connection) (broker.Broker, error) { return keepOpen{b}, nil },
	}
	code := a.run(t.Context(), []string{"submit", "route", "--wait", "--file", "/dev/null"})
	// Once the program has gone, reading ends after what it wrote, with an error.
	if err := program.Close(); err != nil {
		t.Fatal(err)
	}
	seen, _ := io.ReadAll(person)
	if code != exitOK {
		t.Fatalf("exit status %d", code)
	}
	_, last, _ := strings.Cut(string(seen), "42 % ")
	if last != "\r\x1b[Kdone\r\n" {
		t.Errorf("behind the bar comes %q, in %q", last, seen)
	}
}
