package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/occamy-go/occamy/chaos/record"
)

// The processes of a run are this test binary.
func TestMain(m *testing.M) {
	if done, err := childMain(); done {
		exit(err)
	}
	os.Exit(m.Run())
}

// verdict is what other programs read from the last line.
type verdict struct {
	Broker    string   `json:"broker"`
	Faults    []string `json:"faults"`
	Requests  int      `json:"requests"`
	Completed int      `json:"completed"`
	Repeated  *int     `json:"repeated"`
	Lost      *int     `json:"lost"`
	Wrong     *int     `json:"wrong"`
	Gap       *int     `json:"longest_gap_ms"`
}

func judged(t *testing.T, o options) (verdict, error) {
	t.Helper()
	var out bytes.Buffer
	failed := whole(t.Context(), o, false, &out, t.Output())
	t.Logf("%s", out.Bytes())
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	var v verdict
	if err := json.Unmarshal(lines[len(lines)-1], &v); err != nil {
		t.Fatalf("the last line is no verdict: %v", err)
	}
	if v.Repeated == nil || v.Lost == nil || v.Wrong == nil || v.Gap == nil {
		t.Fatal("the verdict has not all of its parts")
	}
	return v, failed
}

var small = options{broker: "nats", requests: 100, nodes: 3, servers: 3, slots: 6, lease: 3 * time.Second, limit: 5}

func TestWithoutFaultsEachRequestRunsOnce(t *testing.T) {
	o := small
	o.calm = true
	v, err := judged(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if v.Broker != "nats" || len(v.Faults) != 0 || v.Requests != 100 || v.Completed != 100 || *v.Repeated != 0 {
		t.Error("not each of 100 requests ran once")
	}
}

func TestOneFaultAlone(t *testing.T) {
	o := small
	o.fault = "server_killed"
	v, err := judged(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Faults) != 1 || v.Faults[0] != o.fault || v.Completed != 100 {
		t.Error("not what was asked for")
	}
}

func TestPoisonEndsAmongTheDeadLetters(t *testing.T) {
	o := small
	o.poison = 2
	v, err := judged(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if v.Requests != 102 || v.Completed != 100 {
		t.Error("not all others completed")
	}
}

// A run that is interrupted is no good run, and leaves no process behind.
func TestInterrupted(t *testing.T) {
	o := small
	o.requests, o.calm = 100_000, true
	dir := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	over := make(chan error, 1)
	go func() { over <- run(ctx, o, dir, t.Output()) }()
	logs := func() (all []byte) {
		paths, err := filepath.Glob(filepath.Join(auditDir(dir), "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text...)
		}
		return all
	}
	working, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := until(working, "requests run", func() (bool, error) { return bytes.Contains(logs(), []byte("do_end")), nil })
	if err != nil {
		t.Error(err)
	}
	interrupt()
	if err := <-over; err == nil {
		t.Error("the run was not interrupted")
	}
	servers := 0
	for line := range bytes.Lines(logs()) {
		var e record.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.What == record.Started {
			servers++
			if err := syscall.Kill(e.PID, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d of server %s is still there: %v", e.PID, e.Server, err)
			}
		}
	}
	if servers != o.servers {
		t.Errorf("%d servers were started; want %d", servers, o.servers)
	}
}

// A process ends when whoever started it does, however that ends.
func TestNoOrphans(t *testing.T) {
	c, err := startChild(childOrder{Node: &natsOrder{Name: "n", Dir: t.TempDir()}}, filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.stdin.Close(); err != nil { // as the end of this process would
		t.Fatal(err)
	}
	select {
	case <-c.ended:
	case <-time.After(20 * time.Second):
		t.Errorf("it goes on: %v", c.kill())
	}
}

func TestNoSuchFault(t *testing.T) {
	o := small
	o.fault = "earthquake"
	if err := run(t.Context(), o, t.TempDir(), t.Output()); err == nil {
		t.Error("no error")
	}
}
