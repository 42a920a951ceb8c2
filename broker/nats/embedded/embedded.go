// Package embedded runs a NATS server with JetStream inside the process, on a
// data directory, so that Occamy needs no installing. It is the real server:
// other processes connect to it by its URL, with any NATS client.
//
// The example of [Start] connects package nats to it; that of package nats
// serves a request over it.
//
// It knows nothing of Occamy beyond the defaults that suit it.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
)

// Errors of Start. What wraps them says what to do.
var (
	// ErrInUse: another server uses the data directory.
	ErrInUse = errors.New("embedded: data directory in use")
	// ErrDir: the data directory cannot be used.
	ErrDir = errors.New("embedded: unusable data directory")
	// ErrPort: the address cannot be listened on.
	ErrPort = errors.New("embedded: cannot listen")
	// ErrUnsafe: anybody who reaches the address could use the server.
	ErrUnsafe = errors.New("embedded: no credentials")
	// ErrStart: the server did not start for another reason.
	ErrStart = errors.New("embedded: server did not start")
)

// Defaults of Config.
const (
	DefaultHost       = "127.0.0.1"
	DefaultPort       = 4222
	DefaultMaxPayload = 8 << 20
)

// What any one client may have of the server, so that none can take all of it.
const (
	// What waits for a client that does not read it, or eight of the largest
	// messages; it is cut off beyond that. A server takes as many requests at
	// a time as it has slots.
	minPending = 64 << 20
	// Of a connection. A server of Occamy has one for each of its tasks.
	maxSubscriptions = 1 << 16
	// Of a line of the protocol: the longest subjects that Occamy uses have
	// some 400 bytes.
	maxControlLine = 4 << 10
	// For credentials to come, where they are asked for.
	authTimeout = 2 * time.Second
	// For a client to take what is written to it, and what is left of that once
	// the data directory is free.
	writeDeadline = 10 * time.Second
	lastWrites    = time.Second
	// A client that answers none of maxPingsOut pings is cut off.
	pingInterval = 20 * time.Second
	maxPingsOut  = 2
)

// AnyPort has the operating system choose a free port.
const AnyPort = -1

// Config says how the server runs. Only Dir is required.
type Config struct {
	// Dir is the data directory, for one server at a time. It is made when it
	// is missing.
	Dir string

	// Host is the address to listen on. Empty: 127.0.0.1. Any but a loopback
	// address needs credentials.
	Host string

	// Port to listen on. Zero: 4222; AnyPort: a free one.
	Port int

	// NoListen keeps other processes out: there is only the connection inside
	// the process.
	NoListen bool

	// RelaxSync has the disk written to when the operating system likes, and
	// every two minutes at the latest. A crash of the process then loses
	// nothing, a power failure the last messages. Off, each message is on the
	// disk before it is confirmed.
	RelaxSync bool

	// User and Password, or Token, are asked of every client. Empty: nothing
	// is asked.
	User, Password, Token string

	// MaxStore is how many bytes the server may keep. Zero: most of the disk's
	// free space, as NATS works it out.
	MaxStore int64

	// MaxPayload is the largest message, in bytes with its headers. Zero:
	// 8 MiB; at most 64 MiB.
	MaxPayload int

	// MaxConnections is how many clients may be connected at a time. Zero:
	// 4,096.
	MaxConnections int

	// StartTimeout is how long Start waits. Zero: 30 s; a large store takes
	// some seconds to be read.
	StartTimeout time.Duration

	// Log is told what the server has to say, from any goroutine. Nil: nobody
	// is.
	Log func(level Level, text string)
}

// Server is a NATS server that runs in this process.
type Server struct {
	cfg  Config
	nats *server.Server
	lock *lock
	done chan struct{} // closed when the server has ended and the directory is free
}

// Start starts a server and returns once it answers. Whoever starts it shuts it
// down. The error wraps one of the errors of this package.
func Start(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := prepareDir(cfg.Dir); err != nil {
		return nil, err
	}
	held, err := acquireLock(filepath.Join(cfg.Dir, "occamy.lock"))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%w: %s; stop the other server, or choose another directory", ErrInUse, cfg.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: lock %s: %w", ErrDir, cfg.Dir, err)
	}
	s := &Server{cfg: cfg, lock: held, done: make(chan struct{})}
	if err := s.start(); err != nil {
		if s.nats != nil {
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
		}
		return nil, errors.Join(err, held.release())
	}
	return s, nil
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, fmt.Errorf("%w: Dir is empty; name a directory", ErrDir)
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrDir, err)
	}
	c.Dir = dir
	if c.Host == "" {
		c.Host = DefaultHost
	}
	if c.Port == 0 {
		c.Port = DefaultPort
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = DefaultMaxPayload
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 4096
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = 30 * time.Second
	}
	switch {
	case c.MaxPayload < 1024 || c.MaxPayload > 64<<20:
		return c, fmt.Errorf("%w: MaxPayload is %d; want 1 KiB to 64 MiB", ErrStart, c.MaxPayload)
	case c.MaxConnections < 0:
		return c, fmt.Errorf("%w: MaxConnections is %d; want 0 or more", ErrStart, c.MaxConnections)
	case c.MaxStore < 0:
		return c, fmt.Errorf("%w: MaxStore is %d; want 0 or more", ErrStart, c.MaxStore)
	case c.Port < AnyPort || c.Port > 65535:
		return c, fmt.Errorf("%w: port %d; want 1 to 65535", ErrPort, c.Port)
	case c.Token != "" && (c.User != "" || c.Password != ""):
		return c, fmt.Errorf("%w: both a token and a user; choose one", ErrStart)
	case (c.User == "") != (c.Password == ""):
		return c, fmt.Errorf("%w: User and Password belong together", ErrStart)
	case !c.NoListen && c.User == "" && c.Token == "" && !isLoopback(c.Host):
		return c, fmt.Errorf("%w: %s can be reached from other machines; set a user and a password, or a token, or listen on %s",
			ErrUnsafe, c.Host, DefaultHost)
	}
	return c, nil
}

func isLoopback(host string) bool {
	if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

func prepareDir(dir string) error {
	hint := "choose a directory that this user may write to"
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("%w: %w; %s", ErrDir, err, hint)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("%w: %w; %s", ErrDir, err, hint)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// start runs the server on the directory, which is ours.
func (s *Server) start() error {
	c := s.cfg
	if !c.NoListen && c.Port != AnyPort {
		// NATS tells a port that is taken only in its log.
		if err := tryListen(c.Host, c.Port); err != nil {
			return err
		}
	}
	log := &logger{to: c.Log}
	nats, err := server.NewServer(&server.Options{
		ServerName:         "occamy",
		Host:               strings.Trim(c.Host, "[]"),
		Port:               c.Port,
		DontListen:         c.NoListen,
		Username:           c.User,
		Password:           c.Password,
		Authorization:      c.Token,
		MaxPayload:         int32(c.MaxPayload),
		MaxPending:         int64(max(minPending, 8*c.MaxPayload)),
		MaxConn:            c.MaxConnections,
		MaxSubs:            maxSubscriptions,
		MaxControlLine:     maxControlLine,
		AuthTimeout:        authTimeout.Seconds(),
		WriteDeadline:      writeDeadline,
		PingInterval:       pingInterval,
		MaxPingsOut:        maxPingsOut,
		MaxClosedClients:   1, // nobody asks for them, and each keeps its subscriptions
		JetStream:          true,
		JetStreamMaxMemory: 64 << 20, // Occamy keeps all on disk
		JetStreamMaxStore:  c.MaxStore,
		StoreDir:           c.Dir,
		SyncAlways:         !c.RelaxSync,
		NoLog:              true,
		NoSigs:             true,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	s.nats = nats
	nats.SetLogger(log, false, false)
	started := make(chan struct{})
	go func() {
		defer close(started)
		nats.Start()
	}()
	timeout := time.NewTimer(c.StartTimeout)
	defer timeout.Stop()
	select {
	case <-started:
	case <-timeout.C:
		return fmt.Errorf("%w within %v; a large store takes long to be read: give it more time", ErrStart, c.StartTimeout)
	}
	if fatal := log.fatal(); fatal != "" {
		return fmt.Errorf("%w: %s", ErrStart, fatal)
	}
	if !nats.ReadyForConnections(c.StartTimeout) {
		return fmt.Errorf("%w within %v", ErrStart, c.StartTimeout)
	}
	return nil
}

func tryListen(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: %w; another server runs there: use it, or choose another port", ErrPort, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w; choose an address of this machine", ErrPort, err)
	}
	return l.Close()
}

// URL is where clients connect, without credentials; empty with NoListen.
func (s *Server) URL() string {
	addr, ok := s.nats.Addr().(*net.TCPAddr)
	if !ok || s.cfg.NoListen {
		return ""
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = DefaultHost
	}
	return "nats://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// Dir is the data directory.
func (s *Server) Dir() string { return s.cfg.Dir }

// InProcess returns the options of a connection inside this process, without a
// socket, with the server's credentials.
func (s *Server) InProcess() []natsgo.Option {
	options := []natsgo.Option{natsgo.InProcessServer(s.nats)}
	if s.cfg.User != "" {
		options = append(options, natsgo.UserInfo(s.cfg.User, s.cfg.Password))
	}
	if s.cfg.Token != "" {
		options = append(options, natsgo.Token(s.cfg.Token))
	}
	return options
}

// Shutdown stops the server and returns once the data directory is free, or
// with ctx's error; it goes on in the background then. It may be called again.
// A client that does not read holds it up by a second at most; what is left of
// its connection ends within 10 s.
func (s *Server) Shutdown(ctx context.Context) error {
	go s.end()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("embedded: shutdown: %w", ctx.Err())
	}
}

func (s *Server) end() {
	s.lock.once.Do(func() {
		defer close(s.done)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
		}()
		s.awaitEnd(ended)
		if err := s.lock.release(); err != nil && s.cfg.Log != nil {
			s.cfg.Log(Error, "release the data directory: "+err.Error())
		}
	})
}

// awaitEnd returns when the server has ended, or when nothing is left of it but
// connections to clients that have not read for lastWrites. NATS tells neither
// that it has closed its stores nor that it listens no more, so it is asked.
func (s *Server) awaitEnd(ended <-chan struct{}) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	var patience <-chan time.Time
	for {
		select {
		case <-ended:
			return
		case <-patience:
			return
		case <-look.C:
			if patience == nil && !s.nats.JetStreamEnabled() && s.nats.Addr() == nil {
				patience = time.After(lastWrites)
			}
		}
	}
}
