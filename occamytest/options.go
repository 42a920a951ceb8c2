package occamytest

import (
	"cmp"
	"time"

	"github.com/occamy-go/occamy"
)

// TB is what the checks need of a *testing.T, *testing.B or *testing.F.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Option changes what [Task] expects of a task. A zero time or number stands for
// the default.
type Option func(*limits)

// limits are what a task is held to.
type limits struct {
	kill, expand   time.Duration
	within, endure time.Duration // endure: of a task without an end of its own; zero for others
	cores          float64
	complete       func(result []byte) error
	varying        bool
	messages       []controlMessage
	ignored        []string
}

type controlMessage struct {
	headers occamy.Headers
	body    []byte
}

func newLimits(options []Option) limits {
	var l limits
	for _, o := range options {
		o(&l)
	}
	l.kill = cmp.Or(l.kill, time.Second)
	l.expand = cmp.Or(l.expand, 100*time.Millisecond)
	l.within = cmp.Or(l.within, 30*time.Second)
	l.cores = cmp.Or(l.cores, 1)
	return l
}

// KillTimeout is within what time the task stops. Give the Config.KillTimeout
// of your servers, or less. The default is that of the config, 1 s.
func KillTimeout(d time.Duration) Option { return func(l *limits) { l.kill = d } }

// ExpandTimeout is within what time Expand returns. The default is that of the
// config, 100 ms.
func ExpandTimeout(d time.Duration) Option { return func(l *limits) { l.expand = d } }

// Cores is how many cores a slot has, which may be a fraction. The default is 1.
func Cores(n float64) Option { return func(l *limits) { l.cores = n } }

// Within is how long the task may take when nobody stops it. The default is
// 30 s; a second or less makes for a quick test, since the task runs 11 to 15
// times, not all of them to the end.
func Within(d time.Duration) Option { return func(l *limits) { l.within = d } }

// Endless is for a task that runs until it is stopped, as many helpers do. It is
// watched for d each time, at least 1 ms, and must never return nil, nor
// anything before it was stopped.
func Endless(d time.Duration) Option {
	return func(l *limits) { l.endure = max(d, time.Millisecond) }
}

// Complete has f decide whether a result is that of complete work. It is given
// what the task handed to occamy.SetResult last, nil for nothing, whenever Do
// returned nil, and returns an error when work is missing. Without this option
// Task compares as it describes.
func Complete(f func(result []byte) error) Option { return func(l *limits) { l.complete = f } }

// Varying is for a task whose results differ although all are right, as those
// of a search by chance do. They are not compared; how long the task ran decides
// what a nil means, besides Complete, which may judge the result.
func Varying() Option { return func(l *limits) { l.varying = true } }

// ControlMessage adds a message to those that a task which is an
// occamy.Controller gets, before the garbage that it gets in any case.
func ControlMessage(h occamy.Headers, body []byte) Option {
	return func(l *limits) { l.messages = append(l.messages, controlMessage{h, body}) }
}

// IgnoreGoroutine leaves out goroutines in whose stack a function stands whose
// full name, as "net/http.(*persistConn).readLoop", contains the text. It is
// for goroutines that a library keeps for the whole program.
func IgnoreGoroutine(function string) Option {
	return func(l *limits) { l.ignored = append(l.ignored, function) }
}
