package natsd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// env has the options of a node; a process that has it set is one.
const env = "OCCAMY_TEST_NATSD"

// Main is called first in the TestMain of whoever starts clusters: in the
// process of a node it runs that and does not return.
func Main() {
	text := os.Getenv(env)
	if text == "" {
		return
	}
	if err := runNode(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// nodeOptions go from the test to the process of a node.
type nodeOptions struct {
	Name, Dir      string
	Port           int // -1: any
	RoutePort      int
	Routes         []string
	User, Password string
}

// listening comes back.
type listening struct{ Port int }

// runNode runs a server until the pipe of its standard input ends, as it does
// with the process that started it.
func runNode(text string) error {
	var n nodeOptions
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return err
	}
	o := &server.Options{
		ServerName: n.Name, Host: "127.0.0.1", Port: n.Port, Username: n.User, Password: n.Password,
		JetStream: true, StoreDir: n.Dir, NoLog: true, NoSigs: true,
		Cluster: server.ClusterOpts{Name: "occamy", Host: "127.0.0.1", Port: n.RoutePort, PoolSize: -1},
	}
	for _, r := range n.Routes {
		u, err := url.Parse("nats://" + r)
		if err != nil {
			return err
		}
		o.Routes = append(o.Routes, u)
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return fmt.Errorf("node %s is not ready", n.Name)
	}
	err = json.NewEncoder(os.Stdout).Encode(listening{s.Addr().(*net.TCPAddr).Port})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A Node is one server of a cluster, a process of its own.
type Node struct {
	opts    nodeOptions
	process *exec.Cmd
	stdin   io.Closer
}

// Name is the server's name, as the cluster calls it.
func (n *Node) Name() string { return n.opts.Name }

// URL is where clients connect; it stays the same when the node is restarted.
func (n *Node) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.opts.Port) }

func (n *Node) start(t testing.TB) {
	t.Helper()
	text, err := json.Marshal(n.opts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.process, n.stdin = cmd, stdin
	line := make(chan []byte, 1)
	go func() {
		text, _ := bufio.NewReader(stdout).ReadBytes('\n') // an empty line is no answer
		line <- text
	}()
	var l listening
	select {
	case text := <-line:
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("node %s did not start: %v", n.opts.Name, err)
		}
	case <-time.After(patience):
		t.Fatalf("node %s did not start in time", n.opts.Name)
	}
	n.opts.Port = l.Port
}

// Kill ends the process without a word, as a power cut would.
func (n *Node) Kill() {
	if n.process == nil {
		return
	}
	_ = n.process.Process.Kill() // it fails only when the process has ended
	_ = n.process.Wait()         // says that it was killed
	_ = n.stdin.Close()
	n.process = nil
}

// Restart starts a node that was killed, on its store and its ports.
func (n *Node) Restart(t testing.TB) {
	t.Helper()
	n.start(t)
}
