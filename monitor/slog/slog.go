// Package slog logs what a server does with log/slog. What it writes is bounded:
// a line when a request ends, and of errors so many of one name in a second.
// Bodies, headers and results are never logged.
//
//	level   what
//	Debug   each change of a slot; handlers, helpers and calls of Expand; help and
//	        words to tasks that came too late, as is ordinary when helpers give way
//	Info    a request is settled: acked or requeued
//	Warn    a request is rejected or lost; errors that the server lives with
//	Error   a panic in user code; a task that is stuck
package slog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/monitor/internal/labels"
)

// burst is how many errors of one name are logged in a period.
const (
	burst  = 10
	period = time.Second
)

// Logger logs what monitors are told. Make one with [New].
type Logger struct {
	log    *slog.Logger
	mu     sync.Mutex
	errors map[string]*count // by name, of which there are few; guarded by mu
}

type count struct {
	since   time.Time
	logged  int
	dropped int
}

// New returns a Logger that writes to log; nil is slog.Default().
func New(log *slog.Logger) *Logger {
	if log == nil {
		log = slog.Default()
	}
	return &Logger{log: log, errors: make(map[string]*count)}
}

// Monitors are for the config of the server. Changes of slots are only asked for
// where the logger writes debug lines when Monitors is called.
func (l *Logger) Monitors() occamy.Monitors {
	m := occamy.Monitors{Error: l, Latency: l}
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		m.Resource = l
	}
	return m
}

// RecordLatency implements occamy.LatencyMonitor.
func (l *Logger) RecordLatency(of occamy.Latency) {
	level, text := slog.LevelDebug, "stage ended"
	if of.Stage == occamy.StageSettle {
		level, text = slog.LevelInfo, "request settled"
		if s := occamy.Settlement(of.Outcome); s == occamy.RejectedForGood || s == occamy.Lost {
			level = slog.LevelWarn
		}
	}
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 8),
		slog.String("id", of.ID), slog.String("kind", of.Kind), slog.String("outcome", of.Outcome),
		slog.String("cause", string(of.Cause)), slog.Int("attempt", of.Attempt))
	if of.Stage == occamy.StageSettle {
		attrs = append(attrs, slog.Duration("settled_in", of.Duration)) // not how long the task took
	} else {
		attrs = append(attrs, slog.Duration("took", of.Duration), slog.String("stage", string(of.Stage)), slog.String("status", string(of.Status)))
	}
	l.log.LogAttrs(ctx, level, text, attrs...)
}

// RecordSlot implements occamy.ResourceMonitor.
func (l *Logger) RecordSlot(c occamy.SlotChange) {
	l.log.LogAttrs(context.Background(), slog.LevelDebug, "slot changed",
		slog.String("server", c.Server), slog.Int("slot", c.Slot),
		slog.String("from", string(c.From)), slog.String("to", string(c.To)), slog.String("phase", string(c.Phase)),
		slog.String("cause", string(c.Cause)), slog.String("id", c.ID), slog.String("kind", c.Kind),
		slog.String("request", c.Request))
}

// RecordError implements occamy.ErrorMonitor.
func (l *Logger) RecordError(err error) {
	name := labels.Error(err)
	dropped, ok := l.admit(name, time.Now())
	if !ok {
		return
	}
	level := slog.LevelWarn
	var panicked *occamy.PanicError
	switch {
	case errors.As(err, &panicked), errors.Is(err, occamy.ErrStuck):
		level = slog.LevelError
	case errors.Is(err, occamy.ErrOfferDropped), errors.Is(err, occamy.ErrControlDropped):
		level = slog.LevelDebug
	}
	attrs := append(make([]slog.Attr, 0, 6), slog.String("error", err.Error()), slog.String("name", name))
	var task *occamy.TaskError
	if errors.As(err, &task) {
		attrs = append(attrs, slog.String("id", task.ID), slog.String("kind", task.Kind), slog.String("status", string(task.Status)))
	}
	if dropped > 0 {
		attrs = append(attrs, slog.Int("left_out", dropped))
	}
	l.log.LogAttrs(context.Background(), level, "error", attrs...)
}

// admit reports whether an error may be logged, and how many of its name were
// left out before it.
func (l *Logger) admit(name string, now time.Time) (dropped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.errors[name]
	if c == nil {
		c = &count{}
		l.errors[name] = c
	}
	if now.Sub(c.since) >= period {
		dropped = c.dropped
		*c = count{since: now}
	}
	if c.logged == burst {
		c.dropped++
		return 0, false
	}
	c.logged++
	return dropped, true
}
