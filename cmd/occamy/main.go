// Command occamy serves requests from a broker, and submits, watches and steers
// them. Its verbs are thin over package client; see "occamy --help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	a := &app{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		getenv:  os.Getenv,
		signals: signals,
		connect: connect,
	}
	os.Exit(a.run(context.Background(), os.Args[1:]))
}
