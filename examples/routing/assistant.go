package routing

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
)

const (
	// beat is how often an assistant makes itself heard while it has to.
	beat = 300 * time.Millisecond
	// lonely is for how long an envoy goes on although nobody bears the ID of
	// its master: a message may be on its way, or the request just moves to
	// another server.
	lonely = 1500 * time.Millisecond
)

// assistant searches for another task, from a seed of its own, and sends it
// what is better. It stands on the server of the task, or beside an envoy.
type assistant struct {
	worker
	sender Sender
	master string
	heard  atomic.Bool  // a tour of the master has come
	known  atomic.Int64 // length of the best tour that has come; 0 for none
	over   atomic.Bool  // there is nothing left to do
}

func newAssistant(sender Sender, in *Instance, master string) *assistant {
	return &assistant{worker: newWorker(in), sender: sender, master: master}
}

// Details has the ID that all assistants of the master bear.
func (a *assistant) Details() occamy.Details {
	return occamy.Details{ID: assistantsID(a.master)}
}

// Do searches until it is stopped.
func (a *assistant) Do(ctx context.Context) error {
	end := background(ctx, func(ctx context.Context) { a.share(ctx, false) })
	defer end()
	return a.run(ctx, func(time.Duration, int) bool { return false })
}

// Control takes the messages of the master.
func (a *assistant) Control(_ context.Context, headers occamy.Headers, body []byte) error {
	what, ok, err := text(headers, headerMessage)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%w: assistants take none from outside", errMessage)
	case what == sayTour:
		f, err := a.in.decodeTour(body)
		if err != nil {
			return err
		}
		a.heard.Store(true)
		a.known.Store(int64(f.length))
		a.post(f)
	default:
		return fmt.Errorf("%w: %s", errMessage, quote(what))
	}
	return nil
}

// share sends the master each better tour, the newest one only, and a sign of
// life until the master has answered; with watch always, and it ends the search
// when there is no master any more.
func (a *assistant) share(ctx context.Context, watch bool) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	var sent int               // the length of the last tour
	var missing time.Time      // since when the master is
	var after <-chan time.Time // set between two tours
	tell := func(what string, body []byte) bool {
		err := send(ctx, a.sender, a.master, what, body)
		switch {
		case !errors.Is(err, broker.ErrNobody):
			missing = time.Time{}
		case missing.IsZero():
			missing = time.Now()
		case watch && time.Since(missing) > lonely:
			a.over.Store(true)
		}
		return err == nil
	}
	tell(sayHello, nil)
	for {
		news := a.news
		if after != nil {
			news = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			switch {
			case !a.heard.Load():
				tell(sayHello, nil)
			case watch:
				tell(sayAlive, nil)
			}
		case <-after:
			after = nil
		case <-news:
			best := a.best.Load()
			if known := int(a.known.Load()); known != 0 && best.length >= known || best.length == sent {
				continue
			}
			body, err := a.in.encodeTour(best)
			if err == nil && tell(sayTour, body) {
				sent = best.length
			}
			after = time.After(a.in.gap())
		}
	}
}

// envoy is the assistant that an optional request makes on another server. It
// grows onto the spare slots there, and ends when its master has gone.
type envoy struct {
	assistant
	until time.Time
}

func newEnvoy(sender Sender, in *Instance, master string, until time.Time) *envoy {
	e := &envoy{until: until}
	e.assistant = assistant{worker: newWorker(in), sender: sender, master: master}
	return e
}

// Details has the ID of the optional request, so that a server runs one of them.
func (e *envoy) Details() occamy.Details {
	return occamy.Details{ID: assistantsID(e.master), Deadline: e.until}
}

// Do searches until the master is done or gone. It returns nil then.
func (e *envoy) Do(ctx context.Context) error {
	left := time.Until(e.until)
	end := background(ctx, func(ctx context.Context) { e.share(ctx, true) })
	defer end()
	return e.run(ctx, func(at time.Duration, _ int) bool { return at >= left || e.over.Load() })
}

// Expand returns assistants of the same master.
func (e *envoy) Expand(_ context.Context, n int) []occamy.Task {
	if e.over.Load() || !e.in.worthHelp() {
		return nil
	}
	return assistants(n, e.sender, e.in, e.master)
}

// worthHelp is false for instances that one task solves at once.
func (in *Instance) worthHelp() bool { return in.Cities() >= minShared }

// minShared is from how many cities on others may help.
const minShared = 9

// assistants returns n of them, each with an instance of its own.
func assistants(n int, sender Sender, in *Instance, master string) []occamy.Task {
	tasks := make([]occamy.Task, n)
	for i := range tasks {
		tasks[i] = newAssistant(sender, in.clone(), master)
	}
	return tasks
}
