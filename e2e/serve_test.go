package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/examples/routing"
)

// server is a process of `occamy serve`.
type server struct {
	cmd    *exec.Cmd
	id     string
	http   string // of its page, without a slash at the end
	broker string
}

// serve starts a server with a broker in it, or at the broker that args name,
// and waits until it takes requests.
func serve(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{}
	if len(args) == 0 || args[0] != "--broker" {
		s.broker = "nats://" + freeAddress(t)
		args = append([]string{"--data-dir", t.TempDir(), "--listen", strings.TrimPrefix(s.broker, "nats://"), "--sync=false"}, args...)
	} else {
		s.broker = args[1]
	}
	s.cmd = exec.Command(program, append([]string{"serve", "--json", "--grace", "1s", "--http", freeAddress(t)}, args...)...)
	s.cmd.Stderr = &logged{t}
	s.cmd.Env = append(os.Environ(), "OCCAMY_BROKER=")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(syscall.SIGINT) })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("serve said %q: %v", line, err)
	}
	var ready struct{ Server, HTTP string }
	if err := json.Unmarshal(line, &ready); err != nil || ready.HTTP == "" {
		t.Fatalf("serve said %q: %v", line, err)
	}
	s.id, s.http = ready.Server, strings.TrimSuffix(ready.HTTP, "/")
	return s
}

// end ends the process by a signal and waits for it.
func (s *server) end(signal os.Signal) {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(signal)
	kill := time.AfterFunc(15*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	_ = s.cmd.Wait() // how it ends is not what these tests are about
}

// logged writes to the test's log.
type logged struct{ testing.TB }

func (l *logged) Write(b []byte) (int, error) {
	l.Logf("serve: %s", strings.TrimSpace(string(b)))
	return len(b), nil
}

// freeAddress is an address of this machine at which nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// connect returns a client of a server's broker.
func (s *server) connect(t testing.TB) *client.Client {
	t.Helper()
	b, err := nats.Open(t.Context(), nats.Config{URL: s.broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return client.New(b)
}

// submit submits a search for a round trip that takes a minute.
func submit(t testing.TB, c *client.Client, id string) {
	t.Helper()
	submitFor(t, c, id, "pcb442", time.Minute)
}

func submitFor(t testing.TB, c *client.Client, id, instance string, limit time.Duration) {
	t.Helper()
	body, err := routing.File(instance)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Submit(t.Context(), client.Request{
		Kind: routing.Kind, ID: id, Body: body, Headers: occamy.Headers{routing.HeaderTimeLimit: limit.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// snapshots draws the slots of all servers, as the page has them in drawn.
func snapshots(t testing.TB, c *client.Client) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	servers, err := c.Servers(ctx, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, s := range servers {
		b.WriteString(s.Server + ":")
		for i, slot := range s.Slots {
			b.WriteString(" " + strconv.Itoa(i) + " " + string(slot.Status))
			if slot.Status != occamy.Empty {
				b.WriteString(" " + string(slot.Phase) + " " + slot.ID)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// drawn is what a page shows of those servers that are there.
const drawn = `[...document.querySelectorAll('[data-testid=server]')].filter(s => s.dataset.state !== 'gone')
	.sort((a, b) => a.dataset.server < b.dataset.server ? -1 : 1).map(s => s.dataset.server + ':' +
	[...s.querySelectorAll('[data-slot]')].map(c => ' ' + c.dataset.slot + ' ' + c.dataset.status +
	(c.dataset.status === 'empty' ? '' : ' ' + c.dataset.phase + ' ' + c.dataset.id)).join('') + '\n').join('')`
