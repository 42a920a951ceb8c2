package routing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

// master is the task of a request.
type master struct {
	worker
	sender   Sender // nil: works alone
	id, kind string
	file     []byte // the instance as it came, for other servers
	priority any    // the header, for other servers; nil for none

	limit  atomic.Int64 // a duration, of all attempts together
	target atomic.Int64 // a length; 0 for none
	spent  atomic.Int64 // a duration: what earlier attempts took
	over   atomic.Bool

	asked    chan struct{} // has an element when an assistant wants the best tour
	audience atomic.Bool   // some assistant has been heard of
}

func newMaster(sender Sender, r occamy.Request, in *Instance, want goals) *master {
	m := &master{worker: newWorker(in), id: r.ID, kind: r.Kind, asked: make(chan struct{}, 1)}
	if r.ID != "" && len(r.ID) <= maxID && in.worthHelp() {
		// Without an ID no assistant could reach it.
		m.sender = sender
		m.file = bytes.Clone(r.Body)
		m.priority = r.Headers[occamy.DefaultHeaderKeys().Priority]
	}
	m.aim(want)
	return m
}

func (m *master) aim(want goals) {
	if want.limit != 0 {
		m.limit.Store(int64(want.limit))
	}
	if want.target != 0 {
		m.target.Store(int64(want.target))
	}
}

// Details has the ID of the request.
func (m *master) Details() occamy.Details { return occamy.Details{ID: m.id} }

// Do searches until the time limit or the target is reached, or no tour can be
// shorter.
func (m *master) Do(ctx context.Context) error {
	m.over.Store(false)
	start := time.Now()
	notes := newNotes(ctx, m, start)
	jobs := []func(context.Context){notes.keep}
	if m.sender != nil {
		jobs = append(jobs, m.share)
	}
	end := background(ctx, jobs...)
	err := m.run(ctx, func(at time.Duration, length int) bool {
		return at+time.Duration(m.spent.Load()) >= time.Duration(m.limit.Load()) ||
			length <= int(m.target.Load())
	})
	m.over.Store(true)
	end()
	if err != nil {
		notes.last()
		if cause := context.Cause(ctx); errors.Is(cause, occamy.ErrCancelled) || errors.Is(cause, occamy.ErrTimeout) {
			m.dismiss(ctx) // after any other there may be another attempt, which they help
		}
		return err
	}
	m.dismiss(ctx)
	return m.finish(ctx)
}

// dismiss lets the assistants on all servers go. Those that this does not reach
// find out themselves, a little later.
func (m *master) dismiss(ctx context.Context) {
	if m.sender == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
	defer cancel()
	_ = m.sender.Cancel(ctx, assistantsID(m.id))
}

// finish gives the result.
func (m *master) finish(ctx context.Context) error {
	best := m.best.Load()
	result, err := json.Marshal(Result{m.in.Name, best.length, m.in.tour(best.order)})
	if err != nil {
		return err
	}
	if err := occamy.SetResult(ctx, result); err != nil && !errors.Is(err, occamy.ErrNoRequest) {
		return err
	}
	return nil
}

// Expand returns assistants, as many as there is room for.
func (m *master) Expand(_ context.Context, n int) []occamy.Task {
	if m.sender == nil || m.over.Load() {
		return nil
	}
	return assistants(n, m.sender, m.in, m.id)
}

// Control takes the messages of assistants, and those of users, which have the
// headers of a request.
func (m *master) Control(_ context.Context, headers occamy.Headers, body []byte) error {
	what, ok, err := text(headers, headerMessage)
	if err != nil {
		return err
	}
	if !ok {
		want, err := parseGoals(headers)
		if err != nil {
			return err
		}
		if want == (goals{}) {
			return fmt.Errorf("%w: neither %s nor %s is there", errMessage, HeaderTimeLimit, HeaderTarget)
		}
		m.aim(want)
		return nil
	}
	switch what {
	case sayHello:
		m.audience.Store(true)
		wake(m.asked)
	case sayAlive:
		m.audience.Store(true)
	case sayTour:
		f, err := m.in.decodeTour(body)
		if err != nil {
			return err
		}
		m.audience.Store(true)
		m.post(f)
	default:
		return fmt.Errorf("%w: %s", errMessage, quote(what))
	}
	return nil
}

// share asks other servers for help, and sends the assistants each better tour,
// the newest one only.
func (m *master) share(ctx context.Context) {
	start := time.Now()
	m.askForHelp(ctx, start)
	// The request is repeated for servers that come later or had no room in
	// their backlog; a server that has it drops it.
	again := time.NewTicker(time.Second + time.Duration(len(m.file))*10*time.Microsecond)
	defer again.Stop()
	var after <-chan time.Time // set between two tours
	var sent int
	for {
		news, asked := m.news, m.asked
		if after != nil {
			news, asked = nil, nil
		}
		force := false
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			m.askForHelp(ctx, start)
			continue
		case <-after:
			after = nil
			continue
		case <-news:
		case <-asked:
			force = true
		}
		best := m.best.Load()
		if best == nil || !force && (best.length == sent || !m.audience.Load()) {
			continue
		}
		body, err := m.in.encodeTour(best)
		if err != nil {
			continue
		}
		err = send(ctx, m.sender, assistantsID(m.id), sayTour, body)
		if err == nil {
			sent = best.length
		} else if errors.Is(err, broker.ErrNobody) {
			m.audience.Store(false)
		}
		after = time.After(m.in.gap())
	}
}

// askForHelp sends the optional request. Its ID is always the same, so that a
// server keeps one of them.
func (m *master) askForHelp(ctx context.Context, start time.Time) {
	left := time.Duration(m.limit.Load()) - time.Duration(m.spent.Load()) - time.Since(start)
	if left <= 0 {
		return
	}
	headers := occamy.Headers{
		headerMaster: m.id,
		headerUntil:  time.Now().Add(left).UTC().Format(time.RFC3339Nano),
	}
	if m.priority != nil {
		headers[occamy.DefaultHeaderKeys().Priority] = m.priority
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	// Help that does not come is no failure, and it is asked for again.
	_ = m.sender.Optional(ctx, broker.Request{
		Kind: m.kind, ID: assistantsID(m.id), Headers: headers, Body: bytes.Clone(m.file),
	})
}
