package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
)

// What the saturated rows have in common: two computing slots on two cores,
// requests that are planned ahead and come no matter how the ones before them
// fare, and the wait from the planned moment until the work begins.

const (
	look        = 100 * time.Microsecond // how often a task looks at its context
	requestWork = 2 * time.Millisecond   // what a request computes
	minGap      = 8 * time.Millisecond   // between planned arrivals
	maxGap      = 20 * time.Millisecond
)

// compute keeps a core busy until ctx ends or the time is up; zero is for ever.
func compute(ctx context.Context, limit time.Duration) error {
	begin := time.Now()
	looked := begin
	for x := uint64(1); ; {
		for range 500 { // well under a microsecond
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		sink.Store(x)
		now := time.Now()
		if limit > 0 && now.Sub(begin) >= limit {
			return nil
		}
		if now.Sub(looked) >= look {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			looked = now
		}
	}
}

// sink keeps the computation from being left out.
var sink atomic.Uint64

// arrivals are planned moments, and when the work of each began.
type arrivals struct {
	planned []time.Duration
	start   time.Time
	waits   []atomic.Int64
	left    atomic.Int64
	done    chan struct{}
	first   chan struct{} // closed by a request before all that are planned
}

// planArrivals fills a time with arrivals, the same ones for both sides.
func planArrivals(p plan, total time.Duration) *arrivals {
	a := &arrivals{done: make(chan struct{}), first: make(chan struct{}), planned: planMoments(p, total, minGap, maxGap)}
	a.waits = make([]atomic.Int64, len(a.planned))
	a.left.Store(int64(len(a.planned)))
	return a
}

func planMoments(p plan, total, least, most time.Duration) (planned []time.Duration) {
	random := rand.New(rand.NewPCG(1, uint64(p.round)))
	for at := least; at < total; at += least + time.Duration(random.Int64N(int64(most-least))) {
		planned = append(planned, at)
	}
	return planned
}

// run sends each at its moment and waits until all have begun. send does not
// block.
func (a *arrivals) run(send func(i int)) error {
	a.start = time.Now()
	for i, at := range a.planned {
		time.Sleep(time.Until(a.start.Add(at)))
		send(i)
	}
	return await(a.done, "the last of the planned requests")
}

// begun notes that the work of an arrival begins now; once more changes nothing.
func (a *arrivals) begun(i int) {
	wait := max(1, int64(time.Since(a.start)-a.planned[i]))
	if a.waits[i].CompareAndSwap(0, wait) && a.left.Add(-1) == 0 {
		close(a.done)
	}
}

// sample gives the median and the 99th percentile in milliseconds.
func (a *arrivals) sample(name string) sample {
	ms := make([]float64, len(a.waits))
	for i := range a.waits {
		ms[i] = float64(a.waits[i].Load()) / 1e6
	}
	return sample{name: median(ms), name + "_p99": percentile(ms, 99)}
}

// ownerID is the ID that occupy gives to the owner.
const ownerID = "request-0"

// saturated is a server of two slots that compute: an owner, and its helper
// wherever no request runs. The ID of a request is its number. There is but one
// kind, as there is but one queue on the bare side.
func saturated(a *arrivals) (*server, error) {
	helper := task(func(ctx context.Context) error { return compute(ctx, 0) })
	return newServer(occamy.Config{Slots: 2}, map[string]func(occamy.Request) occamy.Task{
		"request": func(r occamy.Request) occamy.Task {
			switch r.ID {
			case ownerID:
				return owner{helper, func() occamy.Task { return helper }}
			case "first":
				return task(func(context.Context) error { close(a.first); return nil })
			}
			i, err := strconv.Atoi(r.ID)
			return task(func(ctx context.Context) error {
				if err != nil {
					return err
				}
				a.begun(i)
				return compute(ctx, requestWork)
			})
		},
	})
}

// handover is the bare counterpart: a goroutine that computes for ever, and
// one beside it that gives way to requests and comes back after them.
type handover struct {
	arrivals *arrivals
	stop     context.CancelFunc
	running  atomic.Int64
	idle     chan struct{}
	requests chan int // to run next, by the goroutine that gives way
	helper   atomic.Pointer[context.CancelFunc]
}

func newHandover(a *arrivals) *handover {
	ctx, stop := context.WithCancel(context.Background())
	h := &handover{arrivals: a, stop: stop, idle: make(chan struct{}), requests: make(chan int, len(a.planned))}
	h.running.Store(2)
	go func() {
		_ = compute(ctx, 0)
		h.leave()
	}()
	go h.help(ctx)
	return h
}

// help computes until it is cancelled, and starts the next: a request where
// there is one, which is followed by help again.
func (h *handover) help(ctx context.Context) {
	mine, cancel := context.WithCancel(ctx)
	defer cancel()
	h.helper.Store(&cancel)
	if len(h.requests) == 0 {
		_ = compute(mine, 0)
	}
	select {
	case i := <-h.requests:
		go func() {
			h.arrivals.begun(i)
			_ = compute(ctx, requestWork)
			go h.help(ctx)
		}()
	default:
		if ctx.Err() != nil {
			h.leave()
			return
		}
		go h.help(ctx)
	}
}

// request hands the helper's place over to a request.
func (h *handover) request(i int) {
	h.requests <- i
	(*h.helper.Load())()
}

func (h *handover) leave() {
	if h.running.Add(-1) == 0 {
		close(h.idle)
	}
}

func (h *handover) end() error {
	h.stop()
	return await(h.idle, "the end of the bare goroutines")
}

func saturatedFamily() family {
	const about = "from the planned arrival until Do, on 2 slots that compute and look at their context every 100 µs; reference: bare goroutines, cancelled and handed over"
	requeues := func(values, _ []sample) string {
		return fmt.Sprintf("%.4g requeued in the worst round, since they came while two were held", slices.Max(column(values, "requeued")))
	}
	return family{
		procs: 3,
		rows: []row{
			{name: "saturated", extra: requeues, unit: "ms", goal: "≤ 1.3, and value < 1", about: "p50 " + about},
			{name: "saturated_p99", extra: requeues, unit: "ms", goal: "≤ 1.3, and value < 6", about: "p99 " + about},
		},
		value: saturatedSample, reference: bareSaturated,
	}
}

// returning is a message that comes again when it is requeued, as it would
// from a broker; its wait goes on meanwhile.
type returning struct {
	*message
	server   *server
	requeued *atomic.Int64 // counts them
}

func (m *returning) Reject(ctx context.Context, requeue bool) error {
	if !requeue {
		return m.message.Reject(ctx, false)
	}
	m.requeued.Add(1)
	time.AfterFunc(time.Millisecond, func() { m.server.HandleRequest(m) })
	return nil
}

func saturatedSample(p plan) (_ sample, err error) {
	a := planArrivals(p, p.duration(15*time.Second))
	s, err := saturated(a)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.occupy("request", 1); err != nil {
		return nil, err
	}
	if err := s.full(); err != nil {
		return nil, err
	}
	t := newTally(len(a.planned))
	var requeued atomic.Int64
	messages := make([]*returning, len(a.planned))
	for i := range messages {
		messages[i] = &returning{message: newMessage(t, "request", strconv.Itoa(i)), server: s, requeued: &requeued}
	}
	if err := a.run(func(i int) { s.HandleRequest(messages[i]) }); err != nil {
		return nil, fmt.Errorf("%w (%w)", err, t.allAcked())
	}
	if err := await(t.done, "the last ack"); err != nil {
		return nil, err
	}
	got := a.sample("saturated")
	got["requeued"] = float64(requeued.Load())
	return got, t.allAcked()
}

func bareSaturated(p plan) (sample, error) {
	a := planArrivals(p, p.duration(15*time.Second))
	h := newHandover(a)
	if err := a.run(h.request); err != nil {
		return nil, err
	}
	return a.sample("saturated"), h.end()
}
