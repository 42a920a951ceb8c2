//go:build unix

// Package pgcluster starts a PostgreSQL of one's own for tests: a cluster in a
// temporary directory, on a port of its own on the loopback address, as a child
// in the foreground that ends with the program. It never touches the cluster
// that the system may run.
package pgcluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// URLVar is the environment variable with the address of a PostgreSQL that tests
// may use: they make and drop tables of their own there.
const URLVar = "OCCAMY_POSTGRES_URL"

// BinVar names the folder with initdb and postgres where they stand in none of
// the usual places.
const BinVar = "OCCAMY_POSTGRES_BIN"

// ErrNotInstalled is what Use returns where there is no PostgreSQL to start.
var ErrNotInstalled = errors.New(`no PostgreSQL is installed here: "apt-get install postgresql" on Debian and Ubuntu (its service is not needed), or set ` + BinVar + " or " + URLVar)

// Cluster is a PostgreSQL.
type Cluster struct {
	URL  string // with a password
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Use gives the PostgreSQL that URLVar names, and starts one where the variable
// is empty. It is the caller's to Close.
func Use(ctx context.Context) (*Cluster, error) {
	if u := os.Getenv(URLVar); u != "" {
		return &Cluster{URL: u}, nil
	}
	bin, err := findBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgcluster-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	if err := c.start(ctx, bin); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// findBin returns the folder with the programs of the newest version.
func findBin() (string, error) {
	places := []string{os.Getenv(BinVar)}
	if places[0] == "" {
		places, _ = filepath.Glob("/usr/lib/postgresql/*/bin")
		slices.SortFunc(places, func(a, b string) int { return version(b) - version(a) })
		if p, err := exec.LookPath("initdb"); err == nil {
			places = append(places, filepath.Dir(p))
		}
	}
	for _, p := range places {
		if _, err := os.Stat(filepath.Join(p, "initdb")); err == nil {
			return p, nil
		}
	}
	return "", ErrNotInstalled
}

func version(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

func (c *Cluster) start(ctx context.Context, bin string) error {
	attr, err := unprivileged()
	if err != nil {
		return err
	}
	password, data, file := rand.Text(), filepath.Join(c.dir, "data"), filepath.Join(c.dir, "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	if attr != nil {
		if err := errors.Join(os.Chown(file, int(attr.Uid), int(attr.Gid)), os.Chown(c.dir, int(attr.Uid), int(attr.Gid))); err != nil {
			return err
		}
	}
	init := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "occamy", "-A", "scram-sha-256",
		"--pwfile="+file, "-E", "UTF8", "--locale=C", "--no-sync")
	init.Dir = c.dir
	init.SysProcAttr = &syscall.SysProcAttr{Credential: attr}
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	c.URL = (&url.URL{
		Scheme: "postgres", User: url.UserPassword("occamy", password), Path: "/postgres",
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), RawQuery: "sslmode=disable",
	}).String()
	c.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off")
	c.cmd.Dir = c.dir
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: attr, Setpgid: true}
	endWithParent(c.cmd.SysProcAttr)
	return c.run(ctx, port)
}

// run starts the server, and returns when it takes connections.
func (c *Cluster) run(ctx context.Context, port int) error {
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return err
	}
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.done = make(chan struct{})
	started := make(chan error, 1)
	go func() {
		// For the kernel, the parent is the thread that started the child. This
		// one stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.done)
		err := c.cmd.Start()
		_ = log.Close()
		started <- err
		if err == nil {
			_ = c.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !answers(port) {
		select {
		case <-c.done:
			return c.explain(errors.New("PostgreSQL has ended"))
		case <-ctx.Done():
			return c.explain(ctx.Err())
		case <-again.C:
		}
	}
	return nil
}

// answers reports whether the server is ready: it then asks for a password, and
// while it starts it sends an error.
func answers(port int) bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	const hello = "\x00\x00\x00\x25\x00\x03\x00\x00user\x00occamy\x00database\x00postgres\x00\x00"
	if _, err := conn.Write([]byte{0, 0, 0, byte(len(hello))}); err != nil {
		return false
	}
	if _, err := conn.Write([]byte(hello[4:])); err != nil {
		return false
	}
	var first [1]byte
	_, err = conn.Read(first[:])
	return err == nil && first[0] == 'R'
}

func (c *Cluster) explain(err error) error {
	log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
	return fmt.Errorf("%w; its log:\n%s", err, log)
}

// unprivileged is the user postgres for root, by whom PostgreSQL refuses to be
// run; nil for anybody else.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to be run by root: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Close ends a cluster of Use's own at once, and removes its directory.
func (c *Cluster) Close() error {
	if c.dir == "" {
		return nil
	}
	if c.done != nil {
		if c.cmd.Process != nil {
			_ = c.cmd.Process.Signal(syscall.SIGQUIT) // ends its children too
		}
		select {
		case <-c.done:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
			<-c.done
		}
	}
	return os.RemoveAll(c.dir)
}
