package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/occamy-go/occamy"
)

// ended is what serve prints last with --json.
type ended struct {
	Status     string `json:"status"`
	Server     string `json:"server"`
	Finished   int    `json:"finished"`    // tasks of requests, since the interrupt
	HandedBack int    `json:"handed_back"` // requests that another server gets
}

func (e ended) String() string {
	if e.Finished+e.HandedBack == 0 {
		return "stopped"
	}
	var parts []string
	if e.Finished > 0 {
		parts = append(parts, counted(e.Finished, "task")+" finished")
	}
	if e.HandedBack > 0 {
		parts = append(parts, counted(e.HandedBack, "request")+" handed back for another server")
	}
	return "stopped: " + strings.Join(parts, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// stop ends a server in order and tells what became of its requests. On an
// interrupt it returns at once, since the process is about to end; what it began
// ends by itself in a process that does not.
func (a *app) stop(ctx context.Context, server *occamy.Server, served <-chan error, hangUp func() error, grace time.Duration) error {
	first := server.Snapshot()
	running, waiting := protected(first), first.Waiting+first.Held+first.Converting
	a.note("stopping: "+haveTime(running, grace), "interrupt again to end at once")

	ctx, atOnce := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan error, 1)
	go func() {
		defer atOnce()
		stopped <- errors.Join(server.Shutdown(ctx), <-served, hangUp())
	}()
	left := 0 // of those that ran
	over := time.NewTimer(grace)
	defer over.Stop()
	for {
		select {
		case err := <-stopped:
			if err != nil {
				return err
			}
			e := ended{Status: "stopped", Server: first.Server, Finished: running - left, HandedBack: waiting + left}
			a.note(e.String(), "")
			if a.json {
				return a.printJSON(e)
			}
			return nil
		case <-over.C:
			left = min(protected(server.Snapshot()), running)
			atOnce()
		case <-a.signals:
			atOnce()
			return hinted(errors.New("ended at once by a second interrupt"), "what ran is delivered again")
		}
	}
}

func haveTime(tasks int, grace time.Duration) string {
	switch tasks {
	case 0:
		return "no request is at work"
	case 1:
		return fmt.Sprintf("1 task has %v to finish", grace)
	default:
		return fmt.Sprintf("%d tasks have %v to finish", tasks, grace)
	}
}

// protected counts the tasks that run for requests.
func protected(s occamy.Snapshot) int {
	n := 0
	for _, slot := range s.Slots {
		if slot.Status == occamy.Protected {
			n++
		}
	}
	return n
}
