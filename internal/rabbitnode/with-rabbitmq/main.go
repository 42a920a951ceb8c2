//go:build unix

// Command with-rabbitmq runs a command beside a RabbitMQ, whose URL the command
// finds in OCCAMY_AMQP_URL:
//
//	with-rabbitmq COMMAND [ARGUMENT…]
//	with-rabbitmq -find
//
// It takes the RabbitMQ that OCCAMY_AMQP_URL names, else the one at the standard
// port, else a node that it starts and ends; it says which on standard error,
// and exits with the command's status. With -find it exits with 0 where one of
// the first two answers and with 1 where none does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/occamy-go/occamy/internal/rabbitnode"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

func run(args []string, log io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(log, "usage: with-rabbitmq [-find | COMMAND [ARGUMENT…]]")
		return 2
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	found := find(log)
	if args[0] == "-find" {
		if found == "" {
			return 1
		}
		return 0
	}
	code, err := with(found, args, signals, log)
	if err != nil {
		fmt.Fprintln(log, "with-rabbitmq:", err)
		return 1
	}
	return code
}

// find gives the URL of a RabbitMQ that is there; empty: there is none.
func find(log io.Writer) string {
	if u := os.Getenv(rabbitnode.URLVar); u != "" {
		err := rabbitnode.Answers(context.Background(), u)
		if err == nil {
			fmt.Fprintf(log, "RabbitMQ: the one that %s names\n", rabbitnode.URLVar)
			return u
		}
		fmt.Fprintf(log, "RabbitMQ: the one that %s names does not answer: %v\n", rabbitnode.URLVar, err)
	}
	if rabbitnode.Answers(context.Background(), rabbitnode.StandardURL) == nil {
		fmt.Fprintln(log, "RabbitMQ: the one at 127.0.0.1:5672")
		return rabbitnode.StandardURL
	}
	return ""
}

// with runs a command beside the RabbitMQ at a URL, or beside a node of its own
// where that is empty. A signal ends the command first, then the node.
func with(url string, args []string, signals <-chan os.Signal, log io.Writer) (code int, err error) {
	if url == "" {
		node, startErr := startNode(signals)
		if startErr != nil {
			return 0, startErr
		}
		defer func() { err = errors.Join(err, node.Close()) }()
		fmt.Fprintln(log, "RabbitMQ: a node of our own at", node.Addr())
		url = node.URL()
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), rabbitnode.URLVar+"="+url)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			// To the whole group: `go test` does not pass a signal on.
			_ = syscall.Kill(-cmd.Process.Pid, s.(syscall.Signal))
		case err := <-ended:
			return status(err)
		}
	}
}

// startNode gives up at a signal.
func startNode(signals <-chan os.Signal) (*rabbitnode.Node, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 2*time.Minute, errors.New("no answer within two minutes"))
	defer cancel()
	ctx, interrupt := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case s := <-signals:
			interrupt(fmt.Errorf("signal: %v", s))
		case <-ctx.Done():
		}
	}()
	node, err := rabbitnode.Start(ctx, rabbitnode.Config{})
	interrupt(nil)
	<-watched
	return node, err
}

// status is the exit status of a command: 128 and the signal that ended it, as
// a shell says it.
func status(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return exit.ExitCode(), nil
}
