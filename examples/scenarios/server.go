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

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/rabbitmq"
)

// serverVar says in the environment that the program is a server, and which.
const serverVar = "OCCAMY_SCENARIOS_SERVER"

type serverOrder struct {
	Broker string // its URL
	Prefix string // of its names
	Number int
	Slots  int
}

// serve is a server until in ends.
func serve(o serverOrder, in io.Reader, out io.Writer) (err error) {
	ctx := context.Background()
	b, err := open(ctx, o.Broker, o.Prefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	var mux occamy.Mux
	mux.Add(kind, handler(b, &diary{server: o.Number, out: out}))
	s, err := occamy.New(occamy.Config{Handler: &mux, Slots: o.Slots})
	if err != nil {
		return err
	}
	serving := make(chan error, 1)
	go func() { serving <- s.Serve(ctx, b) }()
	_, err = io.Copy(io.Discard, in)
	now, cancel := context.WithCancel(ctx)
	cancel()
	return errors.Join(err, s.Shutdown(now), <-serving)
}

// open connects to a broker by its URL.
func open(ctx context.Context, url, prefix string) (broker.Broker, error) {
	if strings.HasPrefix(url, "amqp") {
		return rabbitmq.Open(ctx, rabbitmq.Config{URL: url, Prefix: prefix})
	}
	return nats.Open(ctx, nats.Config{URL: url})
}

// process is a server in a process of its own.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
	end chan struct{} // closed when the diary has ended
}

// start starts a server. note gets each line of its diary.
func start(ctx context.Context, o serverOrder, note func(line string)) (*process, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self) // killed when ctx ends
	cmd.Env = append(os.Environ(), serverVar+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start of a server: %w", err)
	}
	p := &process{cmd: cmd, in: in, end: make(chan struct{})}
	go func() {
		defer close(p.end)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			note(lines.Text())
		}
	}()
	return p, nil
}

// stop ends the server, by force after a while.
func (p *process) stop() error {
	force := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer force.Stop()
	err := p.in.Close()
	<-p.end
	return errors.Join(err, p.cmd.Wait())
}
