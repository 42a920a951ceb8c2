package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/chaos/record"
)

// serverOrder says how a server process is to run.
type serverOrder struct {
	Name   string
	Dir    string // of the audit logs
	Slots  int
	Broker brokerOrder
}

// handOver is how long tasks may go on when a server process is told to end.
// It is shorter than most requests, so that some are handed over.
const handOver = 20 * time.Millisecond

// serve is a server process: it runs until SIGTERM, and then shuts down in
// order.
func serve(o serverOrder) error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	log, err := record.Open(o.Dir, o.Name)
	if err != nil {
		return err
	}
	problem := func(err error) { log.Write(record.Event{What: record.Problem, Error: err.Error()}) }

	var mux occamy.Mux
	mux.AddFunc(kind, func(_ context.Context, r occamy.Request) (occamy.Task, error) {
		t, err := newTask(r, log)
		if err != nil {
			return nil, err
		}
		if t.input.Helped {
			return helped{t}, nil
		}
		return t, nil
	})
	server, err := occamy.New(occamy.Config{
		ID:       o.Name + "-" + strconv.Itoa(os.Getpid()),
		Handler:  &mux,
		Slots:    o.Slots,
		Monitors: occamy.Monitors{Error: errorMonitor(problem)},
	})
	if err != nil {
		return err
	}

	opening, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() {
		select {
		case <-term:
			cancel()
			term <- syscall.SIGTERM
		case <-opening.Done():
		}
	}()
	b, err := o.Broker.open(opening, problem)
	if err != nil {
		return err
	}
	cancel()

	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), source{b, log}) }()
	select {
	case err := <-served:
		return err
	case <-term:
	}
	stopping, cancel := context.WithTimeout(context.Background(), handOver)
	defer cancel()
	err = server.Shutdown(stopping)
	if err != nil {
		problem(err)
	}
	return errors.Join(err, <-served, b.Close(), log.Close())
}

type errorMonitor func(error)

// RecordError implements occamy.ErrorMonitor.
func (f errorMonitor) RecordError(err error) { f(err) }
