package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/client"
)

const kind = "work"

// order is the body of a request.
type order struct {
	Name  string // of the request, for the diary
	Needs int    // slots, the master's included
	Units int
	Each  time.Duration // of a unit
}

// job adds up the numbers of its units. What it does it writes into the diary.
type job struct {
	order
	worker int64
	diary  *diary
	sum    int
}

// Assistants implements assist.Sized. The master computes too, so one less is
// needed than slots.
func (j *job) Assistants() (least, most int) { return j.Needs - 1, 1000 }

func (j *job) Units(context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range j.order.Units {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (j *job) Compute(ctx context.Context, unit int) (int, error) {
	j.diary.write(j, "begin")
	defer j.diary.write(j, "end")
	select {
	case <-time.After(j.Each):
		return unit, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (j *job) Collect(_ context.Context, _, result int) error {
	j.sum += result
	return nil
}

func (j *job) Result(context.Context) ([]byte, error) { return json.Marshal(j.sum) }

// want is the result that the job must have.
func (o order) want() string { return fmt.Sprint(o.Units * (o.Units - 1) / 2) }

func handler(b client.Broker, d *diary) occamy.Handler {
	var workers atomic.Int64
	return assist.Units(func(_ context.Context, r occamy.Request) (assist.UnitsJob[int, int], error) {
		j := &job{worker: workers.Add(1), diary: d}
		return j, json.Unmarshal(r.Body, &j.order)
	}, assist.Config{Broker: b})
}

// diary is what a server tells the program that started it: who works, and when,
// one line for each beginning and end.
type diary struct {
	server int
	mu     sync.Mutex
	out    io.Writer // guarded by mu
}

func (d *diary) write(j *job, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, "%s %s %d/%d %d\n", what, j.Name, d.server, j.worker, time.Now().UnixNano())
}
