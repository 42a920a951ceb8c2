package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/chaos/record"
)

// kind is that of all requests.
const kind = "chaos"

// task computes the chunks of a request, with the help of assistants where the
// request takes them. They share the chunks: whoever is stopped gives back the
// one it has.
type task struct {
	input record.Input
	id    string
	log   *record.Log

	mu       sync.Mutex
	todo     []int
	sums     [][]byte
	missing  int
	given    chan struct{} // a chunk was given back; has room for each
	finished chan struct{} // closed when none is missing
}

func newTask(r occamy.Request, log *record.Log) (*task, error) {
	t := &task{id: r.ID, log: log, finished: make(chan struct{})}
	if err := json.Unmarshal(r.Body, &t.input); err != nil {
		return nil, err
	}
	n := t.input.Chunks
	if n < 1 || n > 1000 {
		return nil, errors.New("want 1 to 1000 chunks")
	}
	t.sums, t.missing, t.given = make([][]byte, n), n, make(chan struct{}, n)
	for i := n - 1; i >= 0; i-- {
		t.todo = append(t.todo, i)
	}
	return t, nil
}

func (t *task) Details() occamy.Details { return occamy.Details{} }

// Do implements occamy.Task.
func (t *task) Do(ctx context.Context) (err error) {
	info, _ := occamy.InfoFromContext(ctx)
	t.log.Write(record.Event{What: record.DoStart, ID: t.id, Attempt: info.Attempt})
	if t.input.Poison {
		return die()
	}
	defer func() {
		t.log.Write(record.Event{What: record.DoEnd, ID: t.id, Attempt: info.Attempt, Error: text(err)})
	}()
	for {
		if i, ok := t.take(); ok {
			if err := t.compute(ctx, i); err != nil {
				return err
			}
			continue
		}
		select {
		case <-t.given:
		case <-t.finished:
			return occamy.SetResult(ctx, []byte(t.result()))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// die ends the process as a crash does.
func die() error {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return err
	}
	select {}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (t *task) take() (int, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.todo) == 0 {
		return 0, false
	}
	last := len(t.todo) - 1
	i := t.todo[last]
	t.todo = t.todo[:last]
	return i, true
}

// compute computes chunk i, or gives it back when ctx ends first.
func (t *task) compute(ctx context.Context, i int) error {
	sum, err := chunk(ctx, t.input, i)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.todo = append(t.todo, i)
		select {
		case t.given <- struct{}{}:
		default:
		}
		return err
	}
	t.sums[i] = sum
	if t.missing--; t.missing == 0 {
		close(t.finished)
	}
	return nil
}

// chunk waits and then computes, as slow work does that also waits for others.
func chunk(ctx context.Context, in record.Input, i int) ([]byte, error) {
	wait := time.NewTimer(time.Duration(in.Wait) * time.Millisecond)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(in.Seed), uint32(i)))
	for round := range in.Rounds {
		if round%1000 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		sum = sha256.Sum256(sum[:])
	}
	return sum[:], nil
}

func (t *task) result() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := sha256.New()
	for _, s := range t.sums {
		h.Write(s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// helped is a task that takes assistants.
type helped struct{ *task }

// Expand implements occamy.Expander.
func (t helped) Expand(_ context.Context, n int) []occamy.Task {
	helpers := make([]occamy.Task, n)
	for i := range helpers {
		helpers[i] = &helper{t.task}
	}
	return helpers
}

// helper computes chunks of its owner until it is stopped.
type helper struct{ owner *task }

func (h *helper) Details() occamy.Details { return occamy.Details{} }

// Do implements occamy.Task.
func (h *helper) Do(ctx context.Context) (err error) {
	o := h.owner
	o.log.Write(record.Event{What: record.HelperStart, ID: o.id})
	defer func() {
		o.log.Write(record.Event{What: record.HelperEnd, ID: o.id, Error: text(context.Cause(ctx))})
	}()
	for {
		i, ok := o.take()
		if !ok {
			// Another that is stopped may leave one: the owner takes that.
			<-ctx.Done()
			return context.Cause(ctx)
		}
		if err := o.compute(ctx, i); err != nil {
			return err
		}
	}
}
