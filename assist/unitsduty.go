package assist

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
)

// unitsShape is the shape of jobs that consist of units.
type unitsShape struct {
	newJob func(ctx context.Context, r occamy.Request) (unitsJob, error)
}

const (
	// horizon is how much work an assistant keeps at hand: enough to bridge the
	// way to its master and back when many units are small.
	horizon = 25 * time.Millisecond
	// mostAhead bounds it in units.
	mostAhead = 256
	// shortUnit is up to what duration results travel together, for at most
	// gather.
	shortUnit = 5 * time.Millisecond
	gather    = 10 * time.Millisecond
	// messageBytes is how large a message may get by taking in one more unit or
	// result.
	messageBytes = 256 << 10
	// patience of a message: then what it said is said again.
	resend = time.Second
)

// unitsDuty computes units. What it shares with the link is guarded by the
// link's lock.
type unitsDuty struct {
	link *link
	job  unitsJob
	work chan struct{} // holds one token when there are units

	queue   []wire.Unit
	current uint64 // the unit that is being computed, while busy
	busy    bool
	results []*outgoing
	mean    time.Duration // of a unit, lately; 0 before the first
	told    time.Time     // when results were reported last
	asked   int           // Want of the last report, until a grant answers it
	alone   bool          // one result at a time fills a message
}

// outgoing is a result that the master may not have.
type outgoing struct {
	wire.Result
	seq uint64 // of the last report that had it; 0 for none
	at  time.Time
}

func (s *unitsShape) newDuty(ctx context.Context, _ *handler, r occamy.Request, l *link) (duty, error) {
	job, err := s.newJob(ctx, r)
	if err != nil {
		return nil, err
	}
	return &unitsDuty{link: l, job: job, work: make(chan struct{}, 1)}, nil
}

// run implements duty.
func (d *unitsDuty) run(life context.Context) error {
	for {
		u, ok := d.next()
		if !ok { // and that has been said, with the last result
			select {
			case <-d.work:
				continue
			case <-life.Done():
				return context.Cause(life)
			}
		}
		begin := time.Now()
		result, err := d.job.compute(life, u.Body)
		if life.Err() != nil && err != nil {
			return context.Cause(life) // it was stopped, so it is no failure
		}
		if d.finished(u.Index, result, err, time.Since(begin)) {
			d.link.say(life)
		}
		if life.Err() != nil {
			return context.Cause(life)
		}
	}
}

func (d *unitsDuty) next() (wire.Unit, bool) {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	if len(d.queue) == 0 {
		return wire.Unit{}, false
	}
	u := d.queue[0]
	d.queue = d.queue[1:]
	d.current, d.busy = u.Index, true
	return u, true
}

// finished notes a result, and says whether it is time to report.
func (d *unitsDuty) finished(i uint64, result []byte, err error, took time.Duration) bool {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	d.busy = false
	out := &outgoing{Result: wire.Result{Index: i, Body: result}}
	if err != nil {
		out.Failed, out.Body = true, []byte(reason(err))
	}
	d.results = append(d.results, out)
	if d.mean == 0 {
		d.mean = took
	} else {
		d.mean += (took - d.mean) / 4
	}
	return took >= shortUnit || 2*len(d.queue) <= d.ahead() || time.Since(d.told) >= gather
}

// reason is so much of an error as is told.
func reason(err error) string {
	const most = 4 << 10
	s := err.Error()
	if len(s) > most {
		s = s[:most] + " [cut]"
	}
	return s
}

// ahead is how many units to have at hand besides the one being computed.
func (d *unitsDuty) ahead() int {
	if d.mean == 0 {
		return 1
	}
	n := math.Ceil(float64(horizon) / float64(max(d.mean, time.Microsecond)))
	return int(min(n, mostAhead))
}

// fill implements duty.
func (d *unitsDuty) fill(r *wire.Report) (worth bool) {
	want := d.ahead() - len(d.queue)
	if !d.busy {
		want++
	}
	r.Want = uint64(max(want, 0))
	if want > 0 && want > d.asked {
		worth = true
	}
	if d.busy {
		r.Held = append(r.Held, d.current)
	}
	for _, u := range d.queue {
		r.Held = append(r.Held, u.Index)
	}
	now, size := time.Now(), 0
	for _, o := range d.results {
		said := o.seq != 0 && now.Sub(o.at) < resend
		if said && !o.Failed {
			if len(r.Held) < wire.MaxUnits {
				r.Held = append(r.Held, o.Index) // it may be on its way
			}
			continue
		}
		size += len(o.Body)
		if n := len(r.Results); n > 0 && (size > messageBytes || d.alone || n == wire.MaxUnits) {
			d.link.wake() // the rest by another message
			break
		}
		r.Results = append(r.Results, o.Result)
		if said {
			continue // a failure is said in each report, so that none is missed
		}
		o.seq, o.at = r.Seq, now
		worth = true
	}
	if len(r.Results) > 0 {
		d.told = now
	}
	d.asked = max(want, 0)
	return worth
}

// pending implements duty.
func (d *unitsDuty) pending() bool {
	return slices.ContainsFunc(d.results, func(o *outgoing) bool { return o.seq == 0 })
}

// again implements duty.
func (d *unitsDuty) again() {
	for _, o := range d.results {
		o.seq = 0
	}
}

// idle implements duty.
func (d *unitsDuty) idle() bool { return !d.busy && len(d.queue) == 0 }

// examine implements duty.
func (d *unitsDuty) examine(*wire.Grant) any { return nil }

// take implements duty.
func (d *unitsDuty) take(g *wire.Grant, _ any, fresh bool) {
	d.asked = 0
	if fresh {
		d.again() // the new master has none of them
		d.link.wake()
	}
	d.results = slices.DeleteFunc(d.results, func(o *outgoing) bool { return o.seq != 0 && o.seq <= g.Heard })
	for _, u := range g.Units {
		if len(d.queue) < wire.MaxUnits-1 && !d.has(u.Index) {
			d.queue = append(d.queue, u)
		}
	}
	if len(d.queue) > 0 {
		select {
		case d.work <- struct{}{}:
		default:
		}
	}
}

// has says whether unit i is at hand, or its result has not been confirmed.
func (d *unitsDuty) has(i uint64) bool {
	return d.busy && d.current == i ||
		slices.ContainsFunc(d.queue, func(u wire.Unit) bool { return u.Index == i }) ||
		slices.ContainsFunc(d.results, func(o *outgoing) bool { return o.Index == i && !o.Failed })
}

// tooLarge implements duty: a result that is too large alone is a failure.
func (d *unitsDuty) tooLarge(r *wire.Report, err error) error {
	if len(r.Results) > 1 {
		d.alone = true
	}
	for _, res := range r.Results {
		for _, o := range d.results {
			if o.Index != res.Index {
				continue
			}
			o.seq = 0
			if len(r.Results) == 1 {
				o.Failed, o.Body = true, []byte(tooLargeResult(len(o.Body), err))
			}
		}
	}
	return nil
}

func tooLargeResult(n int, err error) string {
	return errors.Join(errors.New("assist: its result cannot be sent: return less, or store it elsewhere and return where"), err).Error()
}
