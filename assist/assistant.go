package assist

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
)

// assistant computes for a master, on whatever server.
type assistant struct {
	h    *handler
	req  occamy.Request // of the master
	link *link
	lull *lull // of who offered it; begins when it ends by itself
}

func (h *handler) newAssistant(r occamy.Request, job wire.Job, id string, l *lull) *assistant {
	return &assistant{h: h, req: r, link: h.newLink(r.ID, job, id), lull: l}
}

// helpers returns n assistants for the server on which it is called.
func (h *handler) helpers(r occamy.Request, job wire.Job, n int, l *lull) []occamy.Task {
	tasks := make([]occamy.Task, max(n, 0))
	for i := range tasks {
		tasks[i] = h.newAssistant(r, job, r.ID+"/h"+randomToken(), l)
	}
	return tasks
}

// Details has an ID that no other assistant bears, so that what is for one of
// them travels to no other.
func (a *assistant) Details() occamy.Details {
	return occamy.Details{ID: a.link.from, Request: a.link.master}
}

// Control takes what the master says.
func (a *assistant) Control(_ context.Context, headers occamy.Headers, body []byte) error {
	what, _, err := text(headers, headerMessage)
	if err != nil {
		return err
	}
	if what != sayGrant {
		return errors.New("assist: an assistant takes messages from its master alone")
	}
	return a.link.take(body)
}

// Do computes until the master has nothing left to do, or is gone. It returns
// nil then.
func (a *assistant) Do(ctx context.Context) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	d, err := a.h.shape.newDuty(ctx, a.h, a.req, a.link)
	if err != nil {
		a.lull.begin(a.h.cfg.HelpPeriod)
		return fmt.Errorf("assist: an assistant for %q: %w", a.req.ID, err)
	}
	a.link.start(ctx, d, end)

	var reports sync.WaitGroup
	reports.Go(func() { a.link.run(life) })
	err = d.run(life)
	switch {
	case life.Err() == nil:
		a.lull.begin(a.h.cfg.HelpPeriod)
	case errors.Is(context.Cause(life), errNoWork):
		err = nil
	}
	end(errNoWork)
	reports.Wait()
	a.farewell(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// farewell hands back what the assistant had. When the slot is needed, that
// happens after Do has returned.
func (a *assistant) farewell(ctx context.Context) {
	leave := func() {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		a.link.leave(detached)
	}
	if !errors.Is(context.Cause(ctx), occamy.ErrPreempted) || !a.h.leaving.begin(leave) {
		leave()
	}
}

// leaving is the farewells that follow the end of Do. Each ends within farewell,
// and when the broker's connection is closed; the process may end without them.
type leaving struct {
	count atomic.Int64
}

// mostLeaving bounds them.
const mostLeaving = 64

// begin runs leave in a goroutine. It says no when there are too many.
func (l *leaving) begin(leave func()) bool {
	if l.count.Add(1) > mostLeaving {
		l.count.Add(-1)
		return false
	}
	go func() {
		defer l.count.Add(-1)
		leave()
	}()
	return true
}

// root is the assistant that an optional request makes. It grows onto the spare
// slots of its server.
type root struct{ *assistant }

// Expand implements occamy.Expander.
func (r *root) Expand(_ context.Context, n int) []occamy.Task {
	if r.lull.on() {
		return nil
	}
	return r.h.helpers(r.req, r.link.job, r.link.offer(n), r.lull)
}
