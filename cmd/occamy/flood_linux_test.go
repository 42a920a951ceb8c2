package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/client"
)

// floodVar says how many bytes the flood has in all; "make flood" sends 1 GB.
const floodVar = "OCCAMY_FLOOD_BYTES"

const (
	floodBytes = 96 << 20 // by default
	// floodMemory bounds the resident memory of a server that hosts its broker,
	// whatever comes to the port, at its peak: what may wait for the clients that
	// read nothing (64 MiB for each of 8), half a GiB for all else, and twice
	// that since a collector of garbage works by doubling.
	floodMemory = 2 << 30
)

// process is 'occamy serve' in a process of its own.
type process struct {
	*exec.Cmd
	ready
	errs *output
	done chan error
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], append([]string{"serve", "--json"}, args...)...), errs: newOutput(), done: make(chan error, 1)}
	p.Env = append(os.Environ(), asCommand+"=1")
	p.Stderr = p.errs
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Kill() // no harm when it has ended
		p.done <- <-p.done
		t.Logf("serve said: %s", p.errs)
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() { p.done <- p.Wait() }()
	if err != nil {
		t.Fatalf("serve does not get ready: %v: %s", err, p.errs)
	}
	if err := json.Unmarshal([]byte(line), &p.ready); err != nil {
		t.Fatal(err)
	}
	return p
}

// memory is what the process has resident: now (VmRSS) or at most (VmHWM).
func (p *process) memory(t *testing.T, which string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, which+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s in %s", which, text)
	return 0
}

// A client of the embedded broker's port that sends whatever it likes stops
// neither the broker nor the server that hosts it, and their memory stays within
// a bound; a client that means well gets its results all the while.
func TestTheEmbeddedBrokerWithstandsAFlood(t *testing.T) {
	total := int64(floodBytes)
	if text := os.Getenv(floodVar); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", floodVar, err)
		}
		total = n
	}
	p := startProcess(t, "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--sync=false", "--slots", "2")
	address := strings.TrimPrefix(p.Broker, "nats://")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	quiet := p.memory(t, "VmRSS")

	b, err := nats.Open(ctx, nats.Config{URL: p.Broker})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	body, err := os.ReadFile(instance)
	if err != nil {
		t.Fatal(err)
	}
	works := func() error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err := client.New(b).SubmitAndWait(ctx, client.Request{
			Kind: "route", Headers: map[string]any{"time-limit": "20ms"}, Body: body,
		}, nil)
		return err
	}
	if err := works(); err != nil {
		t.Fatal(err)
	}

	for _, h := range []struct {
		n     int
		first func(int) string
	}{{500, nothing}, {500, half}, {8, everything}} {
		hangUp, err := hold(ctx, address, h.n, h.first)
		if err != nil {
			t.Fatal(err)
		}
		defer hangUp()
	}
	all := attacks()
	begin := time.Now()
	var flood sync.WaitGroup
	var sent int64
	var attackers []*attacker
	for i, kind := range all {
		a := &attacker{attack: kind, address: address, share: total / int64(len(all)), random: rand.New(rand.NewPCG(1, uint64(i)))}
		attackers = append(attackers, a)
		flood.Go(func() {
			if err := a.run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	over := make(chan struct{})
	go func() { flood.Wait(); close(over) }()
	results := 0
	for flooded := false; !flooded; {
		select {
		case <-over:
			flooded = true
		default:
		}
		if err := works(); err != nil {
			t.Errorf("a client that means well, after %d results: %v", results, err)
			break
		}
		results++
	}
	<-over
	for _, a := range attackers {
		sent += a.sent.Load()
		t.Logf("%-45s %4d MiB", a.name, a.sent.Load()>>20)
	}
	peak := p.memory(t, "VmHWM")
	t.Logf("%d MiB in %v, %d results meanwhile; resident before %d MiB, at the peak %d MiB, now %d MiB", sent>>20,
		time.Since(begin).Round(time.Second), results, quiet>>20, peak>>20, p.memory(t, "VmRSS")>>20)
	if sent < total-total/8 {
		t.Errorf("only %d of %d bytes were sent", sent, total)
	}
	// Twenty lines in ten seconds, and a few of its own.
	if n, most := strings.Count(p.errs.String(), "\n"), 30+3*int(time.Since(begin).Seconds()); n > most {
		t.Errorf("it printed %d lines, want at most %d", n, most)
	}
	if most := int64(floodMemory * memoryFactor); peak > most {
		t.Errorf("its memory grew to %d MiB, want at most %d", peak>>20, most>>20)
	}
	for range 3 {
		if err := works(); err != nil {
			t.Errorf("after the flood: %v", err)
		}
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		if p.done <- err; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("serve does not end")
	}
}
