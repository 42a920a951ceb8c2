package embedded

import (
	"fmt"
	"sync"
)

// Level is how much a line of the server's log matters.
type Level int

// The levels, the gravest last.
const (
	Debug Level = iota
	Info
	Warning
	Error
	Fatal
)

func (l Level) String() string {
	switch l {
	case Debug:
		return "debug"
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	case Fatal:
		return "fatal"
	}
	return fmt.Sprintf("level %d", int(l))
}

// logger passes the server's log on, and remembers what ended it: the server
// tells that nowhere else.
type logger struct {
	to func(Level, string)

	mu   sync.Mutex
	last string // guarded by mu
}

func (l *logger) say(level Level, format string, args []any) {
	if l.to != nil {
		l.to(level, fmt.Sprintf(format, args...))
	}
}

func (l *logger) Noticef(format string, args ...any) { l.say(Info, format, args) }
func (l *logger) Warnf(format string, args ...any)   { l.say(Warning, format, args) }
func (l *logger) Errorf(format string, args ...any)  { l.say(Error, format, args) }
func (l *logger) Debugf(format string, args ...any)  { l.say(Debug, format, args) }
func (l *logger) Tracef(format string, args ...any)  { l.say(Debug, format, args) }

func (l *logger) Fatalf(format string, args ...any) {
	l.mu.Lock()
	l.last = fmt.Sprintf(format, args...)
	l.mu.Unlock()
	l.say(Fatal, format, args)
}

func (l *logger) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
