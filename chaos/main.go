package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if done, err := childMain(); done {
		exit(err)
	}
	var o options
	flag.StringVar(&o.broker, "broker", "nats", "nats or rabbitmq")
	flag.IntVar(&o.requests, "requests", 10_000, "how many requests to send")
	flag.StringVar(&o.fault, "fault", "", "inject this fault alone; without it, all")
	flag.BoolVar(&o.calm, "calm", false, "inject no fault")
	flag.IntVar(&o.poison, "poison", 0, "instead of faults, send so many requests that kill their server process")
	flag.IntVar(&o.nodes, "nodes", 3, "broker nodes")
	flag.IntVar(&o.servers, "servers", 3, "server processes")
	flag.IntVar(&o.slots, "slots", 6, "slots of each server process")
	flag.DurationVar(&o.lease, "lease", 8*time.Second, "how long a server may be silent before its requests go to others")
	flag.IntVar(&o.limit, "limit", 5, "how many servers a request may crash")
	keep := flag.Bool("keep", os.Getenv("KEEP") == "1", "keep the folder of the run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := whole(ctx, o, *keep, os.Stdout, os.Stderr)
	stop()
	exit(err)
}

func exit(err error) {
	var verdict *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &verdict) && verdict.ExitCode() == 1:
		os.Exit(1) // the auditor has said why
	}
	fmt.Fprintln(os.Stderr, "chaos:", err)
	os.Exit(1)
}

// whole is a run with its verdict, which goes to out. The error is that of the
// auditor when something was lost or wrong.
func whole(ctx context.Context, o options, keep bool, out, say io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "occamy-chaos-")
	if err != nil {
		return err
	}
	defer func() {
		if keep {
			fmt.Fprintln(say, "chaos: kept", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	// The second program, ready before anything breaks.
	auditor := filepath.Join(dir, "auditor")
	building := exec.CommandContext(ctx, "go", "build", "-o", auditor, "github.com/occamy-go/occamy/chaos/audit")
	building.Stderr = say
	if err := building.Run(); err != nil {
		return fmt.Errorf("build the auditor: %w", err)
	}
	failed := run(ctx, o, dir, say)
	if failed != nil {
		fmt.Fprintln(say, "chaos: the run failed:", failed)
	}
	audit := exec.Command(auditor, auditDir(dir))
	audit.Stdout, audit.Stderr = out, say
	if err := audit.Run(); err != nil {
		return err
	}
	return failed
}
