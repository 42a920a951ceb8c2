package main

import (
	"bufio"
	"context"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// patience is how long a test waits for what is sure to come.
const patience = 30 * time.Second

// service is a running 'occamy serve'.
type service struct {
	ready
	signals chan os.Signal
	out     *output
	errs    *output
	code    chan int
	env     map[string]string // of clients, besides the address
}

// serve starts 'occamy serve' and returns once it takes requests.
func serve(t *testing.T, args ...string) *service {
	t.Helper()
	return serveAs(t, nil, args...)
}

// serveAs is serve in an environment.
func serveAs(t *testing.T, env map[string]string, args ...string) *service {
	t.Helper()
	s := &service{signals: make(chan os.Signal, 2), out: newOutput(), errs: newOutput(), code: make(chan int, 1), env: env}
	args = append([]string{"serve", "--json"}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { s.code <- run{signals: s.signals, env: env}.start(ctx, s.out, s.errs, args...) }()
	t.Cleanup(func() {
		cancel()
		select {
		case code := <-s.code:
			s.code <- code
		case <-time.After(patience):
			t.Error("serve did not end")
		}
		t.Logf("occamy %s\nstdout: %sstderr: %s", strings.Join(args, " "), s.out, s.errs)
	})
	deadline := time.After(patience)
	for !strings.Contains(s.out.String(), "\n") {
		select {
		case <-s.out.more:
		case code := <-s.code:
			s.code <- code
			t.Fatalf("serve ended with exit status %d: %s", code, s.errs)
		case <-deadline:
			t.Fatal("serve does not get ready")
		}
	}
	unmarshal(t, s.out.String(), &s.ready)
	return s
}

// serveEmbedded starts 'occamy serve' with a broker of its own on some free port.
func serveEmbedded(t *testing.T, dir string, args ...string) *service {
	t.Helper()
	return serve(t, append([]string{"--listen", "127.0.0.1:0", "--data-dir", dir, "--sync=false"}, args...)...)
}

// end waits for the exit status.
func (s *service) end(t *testing.T) int {
	t.Helper()
	select {
	case code := <-s.code:
		s.code <- code
		return code
	case <-time.After(patience):
		t.Fatal("serve does not end")
		return -1
	}
}

// client is a run whose verbs talk to the service.
func (s *service) client() run {
	env := map[string]string{"OCCAMY_BROKER": s.Broker}
	maps.Copy(env, s.env)
	return run{env: env}
}

// begin submits a request that would run for long and returns once a server
// runs it.
func (s *service) begin(t *testing.T, id string) {
	t.Helper()
	code, _, _ := s.client().do(t, "submit", "route", "--id", id, "--file", instance, "--header", "time-limit=1h")
	if code != exitOK {
		t.Fatalf("submit: exit status %d", code)
	}
	s.await(t, func(f fleet) bool {
		return slices.ContainsFunc(f.Servers, func(s occamy.Snapshot) bool {
			return slices.ContainsFunc(s.Slots, func(slot occamy.SlotInfo) bool { return slot.ID == id && slot.Status == occamy.Protected })
		})
	})
}

// works checks that a request completes.
func (s *service) works(t *testing.T) {
	t.Helper()
	var v outcomeView
	decode(t, s.client(), &v, "submit", "route", "--file", instance, "--header", "time-limit=50ms", "--wait", "--json")
	if v.Status != occamy.Completed {
		t.Errorf("outcome %+v", v)
	}
}

// await asks for the status until it is as wanted.
func (s *service) await(t *testing.T, wanted func(fleet) bool) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); {
		var f fleet
		decode(t, s.client(), &f, "status", "--json")
		if wanted(f) {
			return
		}
	}
	t.Fatal("the fleet does not become what it should")
}

// awaitLine waits until serve has told people something in the line after the
// first n.
func (s *service) awaitLine(t *testing.T, n int, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		lines := strings.Split(s.errs.String(), "\n")
		if len(lines) > n+1 && strings.Contains(lines[n], text) {
			return
		}
		select {
		case <-s.errs.more:
		case <-deadline:
			t.Fatalf("serve does not say %q in line %d but\n%s", text, n+1, s.errs)
		}
	}
}

const instance = "../../examples/routing/testdata/berlin52.tsp"

func TestServeAndSubmit(t *testing.T) {
	s := serveEmbedded(t, t.TempDir())
	if s.Status != "serving" || !slices.Equal(s.Kinds, []string{"price", "route"}) || s.Slots < 1 {
		t.Errorf("ready line %+v", s.ready)
	}
	var v struct {
		ID     string
		Status string
		Result struct {
			Name   string
			Length int
			Tour   []int
		}
	}
	decode(t, s.client(), &v, "submit", "route", "--file", instance, "--header", "time-limit=300ms", "--wait", "--json")
	slices.Sort(v.Result.Tour)
	if v.ID == "" || v.Status != "completed" || v.Result.Name != "berlin52" || len(v.Result.Tour) != 52 || v.Result.Tour[0] != 1 || v.Result.Tour[51] != 52 {
		t.Errorf("outcome %+v", v)
	}
	if v.Result.Length < 7542 {
		t.Errorf("length %d is below the shortest possible", v.Result.Length)
	}
	var again outcomeView
	decode(t, s.client(), &again, "result", v.ID, "--json")
	if again.ID != v.ID || len(again.Result) == 0 {
		t.Errorf("result %+v", again)
	}

	s.signals <- os.Interrupt
	if code := s.end(t); code != exitOK {
		t.Errorf("exit status %d after an interrupt", code)
	}
	if want := "occamy: stopping: no request is at work (hint: interrupt again to end at once)\noccamy: stopped\n"; s.errs.String() != want {
		t.Errorf("it says %q, want %q", s.errs, want)
	}
}

// The last line says what became of the requests that were at work.
func TestTheLastLineSaysWhatBecameOfTheRequests(t *testing.T) {
	for _, tc := range []struct {
		name, grace string
		finishes    bool // the task, when it is told to after the interrupt
		stops       string
		last        string
		json        ended
	}{
		{
			"it finishes", "1h", true, "stopping: 1 task has 1h0m0s to finish",
			"occamy: stopped: 1 task finished\n", ended{Status: "stopped", Finished: 1},
		},
		{
			"it is handed back", "100ms", false, "stopping: 1 task has 100ms to finish",
			"occamy: stopped: 1 request handed back for another server\n", ended{Status: "stopped", HandedBack: 1},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := serveEmbedded(t, t.TempDir(), "--grace", tc.grace)
			s.begin(t, "r")
			s.signals <- os.Interrupt
			s.awaitLine(t, 0, tc.stops)
			if tc.finishes {
				if code, _, _ := s.client().do(t, "control", "r", "--header", "time-limit=1ms"); code != exitOK {
					t.Errorf("control: exit status %d", code)
				}
			}
			if code := s.end(t); code != exitOK {
				t.Errorf("exit status %d after an interrupt", code)
			}
			if errs := s.errs.String(); !strings.HasSuffix(errs, tc.last) {
				t.Errorf("it says %q, want %q last", errs, tc.last)
			}
			lines := strings.Split(strings.TrimSpace(s.out.String()), "\n")
			var last ended
			unmarshal(t, lines[len(lines)-1], &last)
			if tc.json.Server = s.Server; last != tc.json {
				t.Errorf("with --json it prints %+v last, want %+v", last, tc.json)
			}
		})
	}
}

func TestARejectedRequestTellsWhy(t *testing.T) {
	s := serveEmbedded(t, t.TempDir())
	r := s.client()
	r.stdin = "this is no instance"
	code, stdout, stderr := r.do(t, "submit", "route", "--id", "bad", "--file", "-", "--wait", "--json")
	var v outcomeView
	unmarshal(t, stdout, &v)
	if code != exitFailed || v.Status != occamy.Rejected || v.Reason == "" {
		t.Errorf("exit status %d, %+v", code, v)
	}
	if err := oneLineWithHint(stderr); err != nil || !strings.Contains(stderr, "was rejected: ") {
		t.Errorf("the error message: %v", err)
	}
	var letter broker.DeadLetter
	decode(t, r, &letter, "dead", "show", "bad", "--json")
	if letter.Reason != v.Reason || string(letter.Body) != r.stdin || letter.Kind != "route" {
		t.Errorf("dead letter %+v", letter)
	}
	if code, _, _ := r.do(t, "dead", "retry", "bad"); code != exitOK {
		t.Errorf("retry: exit status %d", code)
	}
}

func TestControlAndCancelReachARunningTask(t *testing.T) {
	s := serveEmbedded(t, t.TempDir())
	s.begin(t, "long")
	if code, _, _ := s.client().do(t, "control", "long", "--header", "k=v"); code != exitOK {
		t.Errorf("control: exit status %d", code)
	}
	waited := make(chan string, 1)
	errs := newOutput()
	go func() {
		s.client().start(context.WithoutCancel(t.Context()), newOutput(), errs, "submit", "route", "--id", "second", "--file", instance, "--header", "time-limit=1h", "--wait")
		waited <- errs.String()
	}()
	s.await(t, func(f fleet) bool {
		return len(f.Servers) == 1 && slices.ContainsFunc(f.Servers[0].Slots, func(slot occamy.SlotInfo) bool { return slot.ID == "second" })
	})
	for _, id := range []string{"long", "second"} {
		if code, _, _ := s.client().do(t, "cancel", id); code != exitOK {
			t.Errorf("cancel: exit status %d", code)
		}
	}
	select {
	case stderr := <-waited:
		if !strings.Contains(stderr, `request "second" was cancelled`) {
			t.Errorf("the wait ended with %q", stderr)
		}
	case <-time.After(patience):
		t.Fatal("the wait does not end")
	}
	s.await(t, func(f fleet) bool { return len(f.Servers) == 1 && busy(f.Servers[0].Slots) == 0 })
}

// Two servers share a request: its helpers stand on both.
func TestHelpersOnAnotherServer(t *testing.T) {
	s := serveEmbedded(t, t.TempDir(), "--slots", "2")
	testHelpersOnAnotherServer(t, s, serve(t, "--broker", s.Broker, "--slots", "2"))
}

func testHelpersOnAnotherServer(t *testing.T, s, other *service) {
	t.Helper()
	s.begin(t, "long")
	s.await(t, func(f fleet) bool {
		return len(f.Servers) == 2 && busy(f.Servers[0].Slots) == 2 && busy(f.Servers[1].Slots) == 2
	})
	if code, _, _ := s.client().do(t, "cancel", "long"); code != exitOK {
		t.Errorf("cancel: exit status %d", code)
	}
	s.await(t, func(f fleet) bool {
		return len(f.Servers) == 2 && busy(f.Servers[0].Slots) == 0 && busy(f.Servers[1].Slots) == 0
	})
	for _, one := range []*service{s, other} {
		if text := one.errs.String(); text != "" {
			t.Errorf("%s says %q", one.Server, text)
		}
	}
}

func TestDrainAndResume(t *testing.T) {
	s := serveEmbedded(t, t.TempDir())
	draining := func(want bool) func(fleet) bool {
		return func(f fleet) bool { return len(f.Servers) == 1 && f.Servers[0].Draining == want }
	}
	s.await(t, draining(false))
	if code, _, _ := s.client().do(t, "drain", s.Server); code != exitOK {
		t.Errorf("drain: exit status %d", code)
	}
	s.await(t, draining(true))
	if code, _, _ := s.client().do(t, "resume", s.Server); code != exitOK {
		t.Errorf("resume: exit status %d", code)
	}
	s.await(t, draining(false))
}

// A request outlives the server that ran it, and its broker too.
func TestARestartGoesOnWithWhatWasRunning(t *testing.T) {
	dir := t.TempDir()
	s := serveEmbedded(t, dir, "--grace", "100ms")
	s.begin(t, "long")
	s.signals <- os.Interrupt
	if code := s.end(t); code != exitOK {
		t.Errorf("exit status %d after an interrupt", code)
	}
	s = serveEmbedded(t, dir)
	s.await(t, func(f fleet) bool {
		return len(f.Servers) == 1 && slices.ContainsFunc(f.Servers[0].Slots, func(slot occamy.SlotInfo) bool {
			return slot.ID == "long" && slot.Status == occamy.Protected && slot.Attempt == 2
		})
	})
	if code, _, _ := s.client().do(t, "cancel", "long"); code != exitOK {
		t.Errorf("cancel: exit status %d", code)
	}
}

func TestASecondInterruptEndsAtOnce(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(func() { // what was ended at once ends a little later in a test
		deadline := time.Now().Add(20 * time.Second)
		for {
			broker, err := embedded.Start(embedded.Config{Dir: dir, NoListen: true})
			if err == nil {
				err = broker.Shutdown(context.Background())
			}
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			<-time.After(20 * time.Millisecond)
		}
	})
	s := serveEmbedded(t, dir, "--grace", "1h")
	s.begin(t, "long")
	s.signals <- os.Interrupt
	s.awaitLine(t, 0, "interrupt again")
	s.signals <- os.Interrupt
	if code := s.end(t); code != exitFailed || !strings.Contains(s.errs.String(), "second interrupt") {
		t.Errorf("exit status %d, %s", code, s.errs)
	}
	awaitFree(t, dir)
}

// awaitFree waits until no broker of this process uses a data directory. (One
// that is told to end at once leaves that to the end of its process.)
func awaitFree(t *testing.T, dir string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		server, err := embedded.Start(embedded.Config{Dir: dir, NoListen: true})
		if err == nil {
			if err := end(server); err != nil {
				t.Error(err)
			}
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("the data directory does not become free: %v", err)
		}
	}
}

func TestServeReadsItsConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "occamy.json")
	text := `{"id": "from-the-file", "slots": 3, "listen": "127.0.0.1:0", "sync": false, "kill_timeout": "500ms", "data_dir": "/nowhere"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--config", file, "--slots", "2", "--data-dir", t.TempDir())
	if s.Server != "from-the-file" || s.Slots != 2 {
		t.Errorf("ready line %+v; want the file's ID and the flag's slots", s.ready)
	}
	s.works(t)
}

func TestServeRefusesPlacesThatItCannotUse(t *testing.T) {
	running := serveEmbedded(t, t.TempDir())
	dir := t.TempDir()
	other := serveEmbedded(t, dir)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	port := strings.TrimPrefix(running.Broker, "nats://")
	for _, tc := range []struct {
		name string
		args []string
	}{
		{"port in use", []string{"--listen", port, "--data-dir", t.TempDir()}},
		{"data directory in use", []string{"--listen", "127.0.0.1:0", "--data-dir", dir}},
		{"data directory is a file", []string{"--listen", "127.0.0.1:0", "--data-dir", file}},
		{"data directory cannot be made", []string{"--listen", "127.0.0.1:0", "--data-dir", filepath.Join(file, "below")}},
		{"open to all without credentials", []string{"--listen", "0.0.0.0:0", "--data-dir", t.TempDir()}},
		{"no address to listen on", []string{"--listen", "nowhere", "--data-dir", t.TempDir()}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, stdout, stderr := run{}.do(t, append([]string{"serve"}, tc.args...)...)
			if code != exitFailed && code != exitUsage || stdout != "" {
				t.Errorf("exit status %d, printed %q", code, stdout)
			}
			if err := oneLineWithHint(stderr); err != nil {
				t.Errorf("the error message: %v", err)
			}
		})
	}
	// Those that were there first are none the worse.
	for _, s := range []*service{running, other} {
		s.works(t)
	}
}

// deadAddress is one at which nobody listens any more.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return "nats://" + l.Addr().String()
}

// silentPort is an address at which somebody listens and says nothing.
func silentPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestWithoutABrokerVerbsFailSoonWithAHint(t *testing.T) {
	address := deadAddress(t)
	for _, args := range []string{"submit route --wait", "status", "serve --broker " + address} {
		t.Run(strings.Fields(args)[0], func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			code, _, stderr := run{env: map[string]string{"OCCAMY_BROKER": address}}.do(t, strings.Fields(args)...)
			if took := time.Since(begin); code != exitFailed || took > 3*connectTimeout {
				t.Errorf("exit status %d after %v", code, took)
			}
			if err := oneLineWithHint(stderr); err != nil || !strings.Contains(stderr, "cannot reach the broker") {
				t.Errorf("the error message: %v", err)
			}
		})
	}
}

func TestServeIsSilentAboutOrdinaryOperation(t *testing.T) {
	of := func(status occamy.Status, err error) error {
		return &occamy.TaskError{ID: "t", Kind: "route", Status: status, Err: err}
	}
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{of(occamy.External, occamy.ErrTimeout), true},
		{of(occamy.Internal, occamy.ErrOfferDropped), true},
		{of(occamy.Protected, occamy.ErrControlDropped), true},
		{of(occamy.Protected, occamy.ErrTimeout), false},
		{of(occamy.External, occamy.ErrDetails), false},
		{occamy.ErrTimeout, false},
	} {
		if got := ordinary(tc.err); got != tc.want {
			t.Errorf("%v: %t, want %t", tc.err, got, tc.want)
		}
	}
}

// A line of progress is short, whatever a task reports.
func TestPlainProgressIsShort(t *testing.T) {
	out := newOutput()
	newProgressView(out).show([]byte(strings.Repeat("x", 1<<20)))
	line, err := bufio.NewReader(strings.NewReader(out.String())).ReadString('\n')
	if err != nil || len([]rune(line)) > 121 {
		t.Errorf("a line of %d characters, %v", len(line), err)
	}
}
