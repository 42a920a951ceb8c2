//go:build unix

package proof

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

var (
	kills    = flag.Int("kills", 5, "how often a master is killed")
	stops    = flag.Int("stops", 1, "how often a master is stopped for longer than its lease")
	preempts = flag.Duration("preempts", 5*time.Second, "for how long assistants are preempted")
)

func TestMain(m *testing.M) {
	if text := os.Getenv(orderVar); text != "" {
		go func() { // it ends with whoever started it
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(3)
		}()
		var o order
		err := json.Unmarshal([]byte(text), &o)
		if err == nil {
			err = o.obey()
		}
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// orderVar has the order of a child process in the environment.
const orderVar = "OCCAMY_PROOF_CHILD"

// order says what a child process is. A URL makes it a server.
type order struct {
	Name   string
	Dir    string // of the broker's data, or of the store that is no broker's
	Ready  string // the file that it makes when it serves; the broker writes its URL
	Broker string // nats or rabbitmq
	URL    string
	Prefix string // keeps what is this run's apart on a shared broker
	Audit  string // the file of its log
}

func (o *order) obey() error {
	if o.URL == "" {
		return o.node()
	}
	return o.serve()
}

// child is this program in another process.
type child struct {
	order
	cmd *exec.Cmd
}

// start starts a child, which ends with the test.
func start(t *testing.T, o order) *child {
	t.Helper()
	o.Ready = fmt.Sprintf("%s/%s.ready", t.TempDir(), o.Name)
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{order: o, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), orderVar+"="+string(text))
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		c.kill()
	})
	return c
}

// kill ends the child by SIGKILL.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// ready waits until the child serves, and returns what it has to say.
func (c *child) ready(t *testing.T) string {
	t.Helper()
	var said []byte
	await(t, c.Name+" serves", time.Minute, func() bool {
		b, err := os.ReadFile(c.Ready)
		said = b
		return err == nil
	})
	return string(said)
}

// says makes the file of ready.
func (o *order) says(text string) error {
	if err := os.WriteFile(o.Ready+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(o.Ready+".new", o.Ready)
}

// await waits for a condition.
func await(t *testing.T, what string, most time.Duration, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); {
		if time.Since(begin) > most {
			t.Fatalf("not after %v: %s", most, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
