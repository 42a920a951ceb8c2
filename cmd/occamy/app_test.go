package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/occamy-go/occamy/broker"
)

// asCommand is the environment variable with which this test program is the
// command, for tests that need it in a process of its own.
const asCommand = "OCCAMY_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// output collects what a verb writes from any goroutine, and tells a test when
// something has come.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.buf.Write(b)
	select {
	case o.more <- struct{}{}:
	default:
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// run is one call of the command in a test.
type run struct {
	stdin   string
	env     map[string]string
	signals chan os.Signal
	broker  broker.Broker // what --broker leads to; nil: a real connection

	// unconnected: a verb that tries to connect fails.
	unconnected bool
}

// do runs the command to its end.
func (r run) do(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	out, errs := newOutput(), newOutput()
	code = r.start(t.Context(), out, errs, args...)
	t.Logf("occamy %s\nexit status %d\nstdout: %sstderr: %s", strings.Join(args, " "), code, out, errs)
	return code, out.String(), errs.String()
}

func (r run) start(ctx context.Context, out, errs *output, args ...string) int {
	a := &app{
		stdin:   strings.NewReader(r.stdin),
		stdout:  out,
		stderr:  errs,
		getenv:  func(key string) string { return r.env[key] },
		signals: r.signals,
		connect: connect,
	}
	if r.broker != nil {
		a.connect = func(context.Context, connection) (broker.Broker, error) { return keepOpen{r.broker}, nil }
	}
	if r.unconnected {
		a.connect = func(context.Context, connection) (broker.Broker, error) {
			return nil, errors.New("it tried to connect")
		}
	}
	return a.run(ctx, args)
}

// keepOpen is a broker that outlives the verbs that use it.
type keepOpen struct{ broker.Broker }

func (keepOpen) Close() error { return nil }

// oneLineWithHint says what is wrong with an error message for people.
func oneLineWithHint(stderr string) error {
	switch {
	case !strings.HasPrefix(stderr, "occamy: "):
		return errors.New("it does not begin with the program's name")
	case strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n"):
		return errors.New("it is not one line")
	case !strings.Contains(stderr, "(hint: "):
		return errors.New("it has no hint")
	case strings.Contains(stderr, "goroutine ") || strings.Contains(stderr, ".go:"):
		return errors.New("it has a stack trace")
	case strings.Contains(stderr, "occamy: occamy: "):
		return errors.New("it names the program twice")
	}
	return nil
}

func TestBadUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(text string) string {
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		args string
		code int
		says string
	}{
		{"frobnicate", 2, `unknown verb "frobnicate"`},
		{"sumbit", 2, "did you mean submit?"},
		{"dead bury", 2, `unknown verb "bury"`},
		{"help frobnicate", 2, `unknown verb "frobnicate"`},
		{"--frob", 2, "unknown flag: --frob"},
		{"submit", 2, "missing KIND"},
		{"submit route more", 2, `unexpected argument "more"`},
		{"submit route --priority high", 2, "invalid argument"},
		{"submit route --header novalue", 2, `"novalue" is not KEY=VALUE`},
		{"submit route --timeout=-1s", 2, "below zero"},
		{"submit route --deadline yesterday", 2, `deadline "yesterday"`},
		{"submit route --deadline 2001-01-01T00:00:00Z", 2, "not a moment to come"},
		{"submit route --optional --wait", 2, "exclude each other"},
		{"submit route --file " + file + ".missing", 1, "no such file"},
		{"submit route --file " + filepath.Dir(file), 1, "is a directory"},
		{"submit route --id " + strings.Repeat("x", 600), 2, "600 bytes"},
		{"submit route --header a:b=c", 2, "header key"},
		{"result", 2, "missing ID"},
		{"control", 2, "missing ID"},
		{"cancel", 2, "missing ID"},
		{"drain", 2, "missing SERVER"},
		{"dead show", 2, "missing ID"},
		{"dead list --limit -1", 2, "below zero"},
		{"status --answer-within 0s", 2, "not above zero"},
		{"status --broker embedded", 2, "part of 'occamy serve'"},
		{"status --broker localhost:4222", 2, `unknown broker address "localhost:4222"`},
		{"status --broker kafka://localhost", 2, "unknown broker address"},
		{"status --broker nats://u:secret@a:1,kafka://u:secret@b", 2, `"kafka://…@b"`},
		{"status --broker u:secret@b:1", 2, "unknown broker address"},
		{"status --broker nats://u:secret,word@b:1", 2, "unknown broker address"},
		{"status --broker nats://u:se/secret@b:1", 2, "unknown broker address"},
		{"status --broker nats://", 2, "unknown broker address"},
		{"serve --broker kafka://localhost", 2, "unknown broker address"},
		{"serve --broker nats://127.0.0.1:1 --data-dir d", 2, "--data-dir"},
		{"serve --broker nats://127.0.0.1:1 --listen 127.0.0.1:1", 2, "--listen"},
		{"serve --config " + config(`{"id": "a\u001b[31m"}`), 2, "ID is"},
		{"serve --slots=-1", 2, "Slots is -1"},
		{"serve --grace=-1s", 2, "below zero"},
		{"serve --config " + file + ".missing", 1, "no such file"},
		{"serve --config " + config(`{"slot": 3}`), 2, `unknown field "slot"`},
		{"serve --config " + config(`{"kill_timeout": 3}`), 2, "a duration is a string"},
		{"serve --config " + config(`{} {}`), 2, "something follows"},
		{"serve --config " + config(`{"kinds": ["brew"]}`), 2, `unknown kind "brew"`},
		{"serve --config " + config(`{"headroom": -1, "inbox_size": -1}`), 2, "InboxSize is -1"},
		{"serve --slots 4 --headroom 2 --max-headroom 1", 2, "MaxHeadroom is 1"},
		{"serve --slots 4 --max-headroom 4", 2, "MaxHeadroom is 4"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			code, stdout, stderr := run{unconnected: true}.do(t, strings.Fields(tc.args)...)
			if code != tc.code || !strings.Contains(stderr, tc.says) {
				t.Errorf("exit status %d, want %d and an error that says %q", code, tc.code, tc.says)
			}
			if err := oneLineWithHint(stderr); err != nil {
				t.Errorf("the error message: %v", err)
			}
			if strings.Contains(stderr, "secret") {
				t.Error("it shows a password")
			}
			if stdout != "" {
				t.Error("it printed to standard output")
			}
		})
	}
}

func TestHelpNamesEveryVerb(t *testing.T) {
	code, stdout, _ := run{}.do(t, "--help")
	if code != exitOK {
		t.Errorf("exit status %d", code)
	}
	for _, verb := range []string{"serve", "submit", "result", "control", "cancel", "drain", "resume", "dead", "status", "version"} {
		if !strings.Contains(stdout, "\n  "+verb+" ") {
			t.Errorf("help does not name %s", verb)
		}
	}
	code, stdout, stderr := run{}.do(t)
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "Usage:") {
		t.Error("without a verb it does not show its usage on standard error and exit with 2")
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _ := run{}.do(t, "version")
	if code != exitOK || !strings.HasPrefix(stdout, "occamy ") {
		t.Errorf("exit status %d, %q", code, stdout)
	}
	var v versionInfo
	decode(t, run{}, &v, "version", "--json")
	if v.Version == "" || !strings.HasPrefix(v.Go, "go") {
		t.Errorf("%+v", v)
	}
}
