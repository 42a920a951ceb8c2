//go:build unix && services && !nonodes

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/occamy-go/occamy/internal/rabbitnode"
)

// These run under scripts/test, which has set OCCAMY_AMQP_URL, or by themselves
// with a node for each.

func TestCommandFindsTheURLAndItsStatusIsPassedOn(t *testing.T) {
	out := filepath.Join(t.TempDir(), "url")
	var log strings.Builder
	if code := run([]string{"sh", "-c", `printf %s "$OCCAMY_AMQP_URL" > "$0"; exit 7`, out}, &log); code != 7 {
		t.Errorf("status %d; want the command's 7\n%s", code, log.String())
	}
	url, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(url), "amqp") {
		t.Errorf("%s was %q in the command; want a URL", rabbitnode.URLVar, url)
	}
	if strings.Contains(log.String(), string(url)) {
		t.Errorf("the log %q shows the URL; want no password in it", log.String())
	}
}

func TestSignalEndsTheCommand(t *testing.T) {
	signals := make(chan os.Signal, 1)
	ready := filepath.Join(t.TempDir(), "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = os.ReadFile(ready) // until the command has opened and closed it
		signals <- syscall.SIGTERM
	}()
	var log strings.Builder
	code, err := with("amqp://unused", []string{"sh", "-c", `: > "$0"; sleep 600`, ready}, signals, &log)
	if err != nil {
		t.Fatal(err)
	}
	if want := 128 + int(syscall.SIGTERM); code != want {
		t.Errorf("status %d; want %d", code, want)
	}
}

func TestSignalEndsTheStart(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGINT
	begin := time.Now()
	node, err := startNode(signals)
	if err == nil {
		_ = node.Close()
		t.Fatalf("a node started in %v in spite of a signal", time.Since(begin))
	}
	if !strings.Contains(err.Error(), "interrupt") {
		t.Errorf("error %v; want one that names the signal", err)
	}
}

func TestNoCommandIsAWrongUse(t *testing.T) {
	var log strings.Builder
	if code := run(nil, &log); code != 2 || !strings.Contains(log.String(), "usage") {
		t.Errorf("status %d, %q; want 2 and the usage", code, log.String())
	}
}
