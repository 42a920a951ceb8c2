//go:build unix

package rabbitnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A process is a child with a process group of its own.
type process struct {
	name string
	log  string // the file with what it says
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; written before done is closed
}

// start runs a program in the foreground; what it says is added to log.
func start(name, log string, cmd *exec.Cmd) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// For the kernel, the parent is the thread that started the child. This
		// one stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		_ = out.Close()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// until tries a condition again and again. It returns nil when that gives nil,
// and an error with the end of the log when the process or ctx ends first.
func (p *process) until(ctx context.Context, what string, try func(context.Context) error) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.explain(fmt.Errorf("%s ended before %s: %w", p.name, what, exitReason(p.err)))
		case <-ctx.Done():
			return p.explain(fmt.Errorf("%s: not in time: %s: %w (%w)", p.name, what, context.Cause(ctx), err))
		case <-again.C:
		}
	}
}

// explain adds the last lines of the log to an error.
func (p *process) explain(err error) error {
	text, readErr := os.ReadFile(p.log)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-60):]
	return fmt.Errorf("%w; its log ends:\n%s", err, strings.Join(lines, "\n"))
}

func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the process and its group at once, and returns when it is gone.
func (p *process) kill() error {
	if !p.running() {
		return nil
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// stop asks the process to end, and kills it when it has not by the end of ctx.
func (p *process) stop(ctx context.Context) error {
	if !p.running() {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		err := p.explain(fmt.Errorf("%s did not stop in time and was killed: %w", p.name, context.Cause(ctx)))
		return errors.Join(err, p.kill())
	}
}

func exitReason(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
