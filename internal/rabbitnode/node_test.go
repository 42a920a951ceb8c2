//go:build unix && services && !nonodes

package rabbitnode

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func startNode(t *testing.T, cfg Config) *Node {
	t.Helper()
	n, err := Start(patience(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// patience is a context for what takes seconds, on a machine that does other
// work as well.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// A node keeps its address and its data over a kill, a stop and the restarts
// after them.
func TestNodeComesBackWithItsData(t *testing.T) {
	t.Parallel()
	n := startNode(t, Config{})
	ctx := patience(t)
	// RabbitMQ itself declares a queue before it is on the disk.
	declare := `rabbit_amqqueue:declare({resource, <<"/">>, queue, <<"kept">>}, true, false, [], none, <<"test">>), mnesia:sync_log().`
	if _, err := n.Ctl(ctx, "-q", "eval", declare); err != nil {
		t.Fatal(err)
	}
	for _, end := range []struct {
		name string
		do   func() error
	}{
		{"kill", n.Kill},
		{"stop", func() error { return n.Stop(ctx) }},
		{"restart of a running node", func() error { return nil }},
	} {
		url, pid := n.URL(), n.Pid()
		if err := end.do(); err != nil {
			t.Fatalf("%s: %v", end.name, err)
		}
		if err := n.Restart(ctx); err != nil {
			t.Fatalf("after %s: %v", end.name, err)
		}
		if n.URL() != url {
			t.Errorf("after %s: URL %s; want %s", end.name, n.URL(), url)
		}
		if n.Pid() == pid {
			t.Errorf("after %s: process %d as before; want another", end.name, pid)
		}
		queues, err := n.Ctl(ctx, "-q", "list_queues", "--no-table-headers", "name")
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(queues) != "kept" {
			t.Errorf("after %s: queues %q; want kept", end.name, queues)
		}
	}
}

// Close leaves nothing: no process, port mapper included, and no directory.
func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t, Config{})
	dir, pids := n.dir, []int{n.Pid(), n.mapper.cmd.Process.Pid}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n.Pid() != 0 {
		t.Error("a closed node has a process")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d: %v; want none", pid, err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("directory: %v; want none", err)
	}
	if err := Answers(patience(t), n.URL()); err == nil {
		t.Error("a closed node answers")
	}
}

func TestWrongConfigurationIsReportedWithTheLog(t *testing.T) {
	t.Parallel()
	n, err := Start(patience(t), Config{Conf: []string{"no_such_setting = 1"}})
	if err == nil {
		t.Fatal(errors.Join(errors.New("a node started on a configuration that is wrong"), n.Close()))
	}
	if !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error %q; want the log, which names the setting", err)
	}
}

func TestLoginIsTried(t *testing.T) {
	t.Parallel()
	n := startNode(t, Config{})
	if err := Answers(patience(t), n.URL()); err != nil {
		t.Errorf("guest: %v", err)
	}
	err := Answers(patience(t), "amqp://guest:hunter2@"+n.Addr()+"/")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong password: %v; want an error that does not show it", err)
	}
}

func TestClusterOfThree(t *testing.T) {
	t.Parallel()
	c, err := StartCluster(patience(t), 3, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := patience(t)
	running := func() int {
		t.Helper()
		out, err := c.Nodes[1].Ctl(ctx, "-q", "eval", "length([node() | nodes()]).")
		if err != nil {
			t.Fatal(err)
		}
		count, err := strconv.Atoi(strings.TrimSpace(out))
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	if n := running(); n != 3 {
		t.Fatalf("%d nodes run; want 3", n)
	}
	first := c.Node("node1@localhost")
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	for running() != 2 {
		if ctx.Err() != nil {
			t.Fatal("the killed node is still counted")
		}
	}
	if err := first.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if n := running(); n != 3 {
		t.Errorf("%d nodes run after the restart; want 3", n)
	}
}

// orphanVar has the test program start a node, print its processes and wait to
// be killed.
const orphanVar = "RABBITNODE_TEST_ORPHAN"

func TestNodeEndsWithItsParent(t *testing.T) {
	t.Parallel()
	if os.Getenv(orphanVar) != "" {
		n, err := Start(context.Background(), Config{Dir: os.Getenv(orphanVar)})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString(strconv.Itoa(n.Pid()) + " " + strconv.Itoa(n.mapper.cmd.Process.Pid) + "\n")
		select {}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, "-test.run=^TestNodeEndsWithItsParent$")
	parent.Env = append(os.Environ(), orphanVar+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 100)
	read, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	pids := strings.Fields(string(line[:read]))
	if len(pids) != 2 {
		t.Fatalf("processes %q; want a node and its port mapper", line[:read])
	}
	ctx := patience(t)
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		for !gone(pid) {
			if ctx.Err() != nil {
				t.Fatalf("process %d outlives its parent", pid)
			}
		}
	}
}

// gone is whether a process has ended. Nobody may have waited for it.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}
