package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/occamy-go/occamy/broker/nats/embedded"
)

// natsVar has the order of a child that is a NATS server.
const natsVar = "OCCAMY_BENCH_NATS"

type natsOrder struct {
	Dir  string
	Port int
}

// natsMain is a NATS server until its standard input ends, if the environment
// orders one; false when it does not.
func natsMain() (bool, error) {
	text := os.Getenv(natsVar)
	if text == "" {
		return false, nil
	}
	var o natsOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return true, fmt.Errorf("%s: %w", natsVar, err)
	}
	// As NATS does by itself: the rows are about clients, not about the disk.
	s, err := embedded.Start(embedded.Config{Dir: o.Dir, Port: o.Port, RelaxSync: true})
	if err != nil {
		return true, err
	}
	fmt.Println(s.URL())
	_, err = io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return true, errors.Join(err, s.Shutdown(ctx))
}

// A natsProcess is a NATS server in a process of its own, reached over TCP.
type natsProcess struct {
	url   string
	cmd   *exec.Cmd
	stdin io.Closer // its end is the server's
}

func startNATS(dir string, port int) (*natsProcess, error) {
	order, err := json.Marshal(natsOrder{Dir: dir, Port: port})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), natsVar+"="+string(order), childVar+"=")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	n := &natsProcess{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start of the NATS server: %w", err), n.stop())
	}
	n.url = strings.TrimSpace(line)
	return n, nil
}

// stop ends the server in the orderly way.
func (n *natsProcess) stop() error {
	return errors.Join(n.stdin.Close(), n.cmd.Wait())
}

// kill ends the server at once.
func (n *natsProcess) kill() error {
	if err := n.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = n.cmd.Wait() // says that it was killed
	return nil
}

// withNATS runs f beside a NATS server on an empty data directory.
func withNATS(f func(ctx context.Context, url string) (sample, error)) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "occamy-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n, err := startNATS(dir, embedded.AnyPort)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	return f(ctx, n.url)
}
