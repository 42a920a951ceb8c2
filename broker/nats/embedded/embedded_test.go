package embedded

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, url string, options ...natsgo.Option) *natsgo.Conn {
	t.Helper()
	nc, err := natsgo.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestEachMessageIsOnTheDiskBeforeItIsConfirmed(t *testing.T) {
	for relaxed, want := range map[bool]bool{false: true, true: false} {
		s := start(t, Config{Dir: t.TempDir(), Port: AnyPort, RelaxSync: relaxed})
		if got := s.nats.JetStreamConfig().SyncAlways; got != want {
			t.Errorf("RelaxSync %t: SyncAlways is %t", relaxed, got)
		}
	}
}

func TestItListensOnLoopback(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir(), Port: AnyPort})
	if url := s.URL(); !strings.HasPrefix(url, "nats://127.0.0.1:") {
		t.Errorf("it listens on %s", url)
	}
	nc := connect(t, s.URL())
	if nc.MaxPayload() != DefaultMaxPayload {
		t.Errorf("the largest message has %d bytes, want %d", nc.MaxPayload(), DefaultMaxPayload)
	}
}

func TestItCanKeepToItsProcess(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir(), NoListen: true})
	if s.URL() != "" {
		t.Errorf("it listens on %s", s.URL())
	}
	if nc := connect(t, "", s.InProcess()...); !nc.IsConnected() {
		t.Error("not connected")
	}
}

func TestItAsksForCredentials(t *testing.T) {
	for name, cfg := range map[string]Config{
		"user":  {User: "u", Password: "p"},
		"token": {Token: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Dir, cfg.Port = t.TempDir(), AnyPort
			s := start(t, cfg)
			if _, err := natsgo.Connect(s.URL()); !errors.Is(err, natsgo.ErrAuthorization) {
				t.Errorf("without credentials: %v", err)
			}
			connect(t, s.URL(), s.InProcess()...)
			if strings.Contains(s.URL(), "p@") || strings.Contains(s.URL(), "secret") {
				t.Errorf("the URL tells the credentials: %s", s.URL())
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port

	for _, c := range []struct {
		name string
		cfg  Config
		want error
		hint string
	}{
		{"no directory", Config{}, ErrDir, "name a directory"},
		{"a file in its place", Config{Dir: file}, ErrDir, "choose a directory"},
		{"a file above it", Config{Dir: filepath.Join(file, "data")}, ErrDir, "choose a directory"},
		{"all addresses, no credentials", Config{Host: "0.0.0.0"}, ErrUnsafe, "set a user"},
		{"all IPv6 addresses, no credentials", Config{Host: "::"}, ErrUnsafe, "set a user"},
		{"another address, no credentials", Config{Host: "192.0.2.1"}, ErrUnsafe, "set a user"},
		{"a name, no credentials", Config{Host: "example.org"}, ErrUnsafe, "set a user"},
		{"port in use", Config{Port: port}, ErrPort, "choose another port"},
		{"no such port", Config{Port: 70000}, ErrPort, "1 to 65535"},
		{"foreign address", Config{Host: "192.0.2.1", Token: "t", Port: 12345}, ErrPort, "address of this machine"},
		{"user and token", Config{User: "u", Password: "p", Token: "t"}, ErrStart, "choose one"},
		{"user without password", Config{User: "u"}, ErrStart, "belong together"},
		{"tiny messages", Config{MaxPayload: 10}, ErrStart, "MaxPayload"},
		{"huge messages", Config{MaxPayload: 1 << 30}, ErrStart, "MaxPayload"},
		{"negative store", Config{MaxStore: -1}, ErrStart, "MaxStore"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cfg.Dir == "" && c.name != "no directory" {
				c.cfg.Dir = t.TempDir()
			}
			if c.cfg.Port == 0 {
				c.cfg.Port = AnyPort
			}
			s, err := Start(c.cfg)
			if err == nil {
				stop(t, s)
				t.Fatal("it starts")
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.hint) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want an error that wraps %q and has the hint %q on one line", err, c.want, c.hint)
			}
		})
	}
}

func TestTwoServersOnOneDirectory(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{Dir: dir, Port: AnyPort})
	if _, err := Start(Config{Dir: dir, Port: AnyPort}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second: %v", err)
	}
	connect(t, first.URL())
	stop(t, first)
	start(t, Config{Dir: dir, Port: AnyPort}) // the directory is free
}

func TestAFailedStartFreesTheDirectory(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{Dir: t.TempDir(), Port: AnyPort})
	port := first.nats.Addr().(*net.TCPAddr).Port
	if _, err := Start(Config{Dir: dir, Port: port}); !errors.Is(err, ErrPort) {
		t.Fatalf("got %v, want %v", err, ErrPort)
	}
	start(t, Config{Dir: dir, Port: AnyPort})
}

func TestShutdownIsBoundedAndMayBeRepeated(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir(), Port: AnyPort})
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(over); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	stop(t, s)
	stop(t, s)
}

func TestAClientThatDoesNotReadDoesNotHoldUpShutdown(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Dir: dir, Port: AnyPort})
	deaf, err := net.Dial("tcp", s.nats.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deaf.Close() }()
	if _, err := deaf.Write([]byte("CONNECT {\"verbose\":false}\r\nSUB > 1\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	for answer := ""; !strings.HasSuffix(answer, "PONG\r\n"); {
		b := make([]byte, 4096)
		n, err := deaf.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		answer += string(b[:n])
	}
	nc := connect(t, s.URL())
	body := make([]byte, 1<<20)
	for range 32 { // more than the sockets take
		if err := nc.Publish("x", body); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), writeDeadline/2)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	start(t, Config{Dir: dir, Port: AnyPort}) // the directory is free
}

func TestItsLogGoesWhereItIsWanted(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	s := start(t, Config{Dir: t.TempDir(), Port: AnyPort, Log: func(l Level, text string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, l.String()+": "+text)
	}})
	stop(t, s)
	mu.Lock()
	defer mu.Unlock()
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "info: Server is ready") {
		t.Errorf("the log is:\n%s", all)
	}
}
