package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// helperVar has the order of a child that does its part of a round.
const helperVar = "OCCAMY_BENCH_HELPER"

// A helperOrder says what a child is. It ends when its standard input does.
type helperOrder struct {
	Role  string // a key of roles
	Procs int    // GOMAXPROCS

	URL   string // of the broker
	Slots int    // of a server
	Kind  string // that it serves
	Steps int    // of a chunk
}

// roles are what a helper may be. in is what it is told, out what it says, in
// lines.
func roles() map[string]func(o helperOrder, in *bufio.Reader, out io.Writer) error {
	return map[string]func(o helperOrder, in *bufio.Reader, out io.Writer) error{
		"server":   helpAsServer,
		"computer": helpAsComputer,
		"burner":   helpAsBurner,
		"giver":    helpAsGiver,
		"taker":    helpAsTaker,
		"echo":     helpAsEcho,
	}
}

// helperMain is a helper if the environment orders one; false when it does not.
func helperMain() (bool, error) {
	text := os.Getenv(helperVar)
	if text == "" {
		return false, nil
	}
	var o helperOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return true, fmt.Errorf("%s: %w", helperVar, err)
	}
	runtime.GOMAXPROCS(o.Procs)
	role := roles()[o.Role]
	if role == nil {
		return true, fmt.Errorf("%s: no role %q", helperVar, o.Role)
	}
	err := role(o, bufio.NewReader(os.Stdin), os.Stdout)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return true, err
}

// A helper is a child process that does its part of a round.
type helper struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser // its end is the helper's
	lines chan string    // what it says; closed at its end
}

// startHelper starts a helper. extra are its files from descriptor 3 on.
func startHelper(o helperOrder, extra ...*os.File) (*helper, error) {
	order, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helperVar+"="+string(order), childVar+"=")
	cmd.Stderr, cmd.ExtraFiles = os.Stderr, extra
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &helper{cmd: cmd, stdin: stdin, lines: make(chan string, 1<<16)}
	go func() {
		defer close(h.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			h.lines <- s.Text()
		}
	}()
	if err := h.hear("ready"); err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

// tell sends a line.
func (h *helper) tell(format string, args ...any) error {
	_, err := fmt.Fprintf(h.stdin, format+"\n", args...)
	return err
}

// hear waits for a line that begins with a word.
func (h *helper) hear(word string) error {
	_, err := h.line(word)
	return err
}

// line waits for a line that begins with a word, and returns the rest of it.
func (h *helper) line(word string) (string, error) {
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case line, ok := <-h.lines:
			if !ok {
				return "", fmt.Errorf("a helper has ended before it said %q", word)
			}
			if first, rest, _ := strings.Cut(line, " "); first == word {
				return rest, nil
			}
		case <-limit.C:
			return "", fmt.Errorf("a helper has not said %q within a minute", word)
		}
	}
}

// stop ends the helper in the orderly way, or by force when that takes long.
func (h *helper) stop() error {
	force := time.AfterFunc(10*time.Second, func() { _ = h.cmd.Process.Kill() })
	defer force.Stop()
	err := h.stdin.Close()
	for range h.lines { // until its end, as Wait asks for
	}
	return errors.Join(err, h.cmd.Wait())
}

// stopAll ends helpers, and adds to got, unless it is nil, the CPU time that they
// took, in seconds.
func stopAll(all []*helper, got sample) (err error) {
	for _, h := range all {
		err = errors.Join(err, h.stop())
		if got != nil && h.cmd.ProcessState != nil {
			got["helpers cpu"] += (h.cmd.ProcessState.UserTime() + h.cmd.ProcessState.SystemTime()).Seconds()
		}
	}
	return err
}

// helpAsComputer computes as many chunks as each line says, and answers.
func helpAsComputer(o helperOrder, in *bufio.Reader, out io.Writer) error {
	fmt.Fprintln(out, "ready")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		var chunks int
		if _, err := fmt.Sscan(line, &chunks); err != nil {
			return err
		}
		for range chunks {
			step(o.Steps)
		}
		fmt.Fprintln(out, "done")
	}
}
