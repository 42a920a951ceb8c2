package assist

import (
	"context"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/client"
)

// Config says how the jobs of a handler are shared. Its zero value is useful:
// the master then works alone, and keeps no progress. Durations, Window and Buffer
// below zero count as zero.
type Config struct {
	// Broker is how masters and assistants reach each other. All servers that
	// take part use the same one. Nil: a master works alone.
	Broker client.Broker

	// Keys are the header keys of the servers, as Config.Headers of a server has
	// them. Zero: the defaults.
	Keys occamy.HeaderKeys

	// Store keeps the progress of jobs, by request ID, for the next attempt.
	// It must be the same for all servers. Nil: each attempt begins anew.
	Store checkpoint.Store

	// Least is how many assistants a job needs: for these the master sends
	// request messages, so that they are protected tasks, on whatever server has
	// room. The master counts for one more, as it computes too. Zero: none.
	Least int

	// Most is how many assistants a job can use, the needed ones included, up to
	// 4,096. Zero: as many; negative: none but those. A job that is a [Sized] says so for itself.
	Most int

	// LeaseTimeout is how long an assistant may be silent before what it has is
	// given to others. It says something every LeaseTimeout/8, however long it
	// computes. Zero: 4 s.
	LeaseTimeout time.Duration

	// Patience is how long an assistant goes on when it cannot find its master,
	// which may be on its way to another server. Zero: 2 s.
	Patience time.Duration

	// HelpPeriod is how often a master that could use more assistants repeats
	// its optional request, at most: it does so less often when the request has
	// a large body. Zero: 1 s.
	HelpPeriod time.Duration

	// SavePeriod is how often progress is kept in Store. What was done since is
	// done again after a crash. Zero: 1 s.
	SavePeriod time.Duration

	// Retries is how often a unit that failed is computed again. Zero: 2;
	// negative: never.
	Retries int

	// Ordered has the results of units collected in the order of the units, and
	// not as they come.
	Ordered bool

	// Window is how many units of a job may be known to the master and not
	// collected yet. Zero: 4,096.
	Window int

	// Buffer is how many bytes of units a master may hold, and how many of
	// results that wait to be collected, and to be kept: beyond it, it hands out
	// little more. Zero: 64 MiB.
	Buffer int

	// Inject adds to the headers of the requests for assistants, for instance the
	// context of a trace, which ctx has: it is that of the master's Do. Without it
	// they have the trace of the master's own request. Nil: nothing is added.
	Inject func(ctx context.Context, headers occamy.Headers)

	// OnError is told of errors that end nothing, such as a message that did not
	// arrive or progress that was not kept; from any goroutine. Nil: nobody is.
	OnError func(error)
}

func (c Config) withDefaults() Config {
	set(&c.LeaseTimeout, 4*time.Second)
	set(&c.Patience, 2*time.Second)
	set(&c.HelpPeriod, time.Second)
	set(&c.SavePeriod, time.Second)
	set(&c.Window, 4096)
	set(&c.Buffer, 64<<20)
	switch {
	case c.Retries == 0:
		c.Retries = 2
	case c.Retries < 0:
		c.Retries = 0
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	c.Keys = c.Keys.WithDefaults()
	return c
}

func set[T ~int | ~int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// beat is how often an assistant says something.
func (c *Config) beat() time.Duration { return max(c.LeaseTimeout/8, time.Millisecond) }

// adoption is within what time assistants report to a new master.
func (c *Config) adoption() time.Duration { return 2 * c.beat() }

// Sized is a job that says for itself how many assistants it needs and can use,
// in place of Config.Least and Config.Most and with the same meaning. It is asked
// once, on the master.
type Sized interface {
	Assistants() (least, most int)
}
