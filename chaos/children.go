package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// childVar has the order of a child process in the environment.
const childVar = "OCCAMY_CHAOS_CHILD"

// childOrder has one of the fields set.
type childOrder struct {
	Server *serverOrder
	Node   *natsOrder
}

// childMain does what the environment orders; false when it orders nothing.
func childMain() (bool, error) {
	order := os.Getenv(childVar)
	if order == "" {
		return false, nil
	}
	// Whoever started this process holds the other end: it ends with them.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	var o childOrder
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return true, fmt.Errorf("%s: %w", childVar, err)
	}
	switch {
	case o.Server != nil:
		return true, serve(*o.Server)
	case o.Node != nil:
		return true, natsNode(*o.Node)
	}
	return true, fmt.Errorf("%s: an empty order", childVar)
}

// child is a process that runs this program again, in a process group of its
// own. It ends when this process does, since its standard input ends then.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when the process has ended; err is set then
	err   error
}

// startChild starts a child whose output goes to a file.
func startChild(o childOrder, output string) (*child, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVar+"="+string(text))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = cmd.Wait()
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// signal sends a signal to the process group. One that has ended gets none.
func (c *child) signal(s syscall.Signal) error {
	select {
	case <-c.ended:
		return nil
	default:
	}
	err := syscall.Kill(-c.pid(), s)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// kill ends the process at once and returns when it has ended.
func (c *child) kill() error {
	err := c.signal(syscall.SIGKILL)
	<-c.ended
	return err
}

// stop asks the process to end, and kills it when that takes too long.
func (c *child) stop(patience time.Duration) error {
	if err := c.signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-c.ended:
		return nil
	case <-late.C:
		return errors.Join(fmt.Errorf("process %d still ran %v after it was told to end", c.pid(), patience), c.kill())
	}
}

// closers are what has to be undone at the end, the last first.
type closers struct {
	mu    sync.Mutex
	undo  []func()
	ended bool
}

// add has f called at the end; at once when that has begun.
func (c *closers) add(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		f()
		return
	}
	c.undo = append(c.undo, f)
}

func (c *closers) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for len(c.undo) > 0 {
		last := len(c.undo) - 1
		f := c.undo[last]
		c.undo = c.undo[:last]
		f()
	}
}
