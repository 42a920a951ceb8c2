package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWaitTellsProgressAndThenTheOutcome(t *testing.T) {
	c := client.New(&fake{watch: tell(progress("1"), progress("2"), completed("r", "done"))})
	var got []string
	o, err := c.Wait(t.Context(), "r", func(p []byte) { got = append(got, string(p)) })
	if err != nil || string(o.Result) != "done" || !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("Wait = %+v, %v; progress %v", o, err, got)
	}
}

func TestWaitNeedsNobodyForProgress(t *testing.T) {
	c := client.New(&fake{watch: tell(progress("1"), completed("r", "done"))})
	if _, err := c.Wait(t.Context(), "r", nil); err != nil {
		t.Error(err)
	}
}

func TestWaitGivesTypedErrorsForBadEnds(t *testing.T) {
	c := client.New(&fake{watch: tell(outcome(occamy.Outcome{ID: "r", Status: occamy.Rejected, Reason: "Do panicked: oh\ngoroutine 1"}))})
	o, err := c.Wait(t.Context(), "r", nil)
	var rejected *client.RejectedError
	if !errors.Is(err, client.ErrRejected) || !errors.As(err, &rejected) || rejected.Reason != o.Reason {
		t.Errorf("rejected: %+v, %v", o, err)
	}
	if want := `request "r" was rejected: Do panicked: oh`; err.Error() != want {
		t.Errorf("rejected: error %q, want %q", err, want)
	}

	c = client.New(&fake{watch: tell(outcome(occamy.Outcome{ID: "r", Status: occamy.Cancelled}))})
	o, err = c.Wait(t.Context(), "r", nil)
	var cancelled *client.CancelledError
	if !errors.Is(err, occamy.ErrCancelled) || !errors.As(err, &cancelled) || o.Status != occamy.Cancelled {
		t.Errorf("cancelled: %+v, %v", o, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := client.New(&fake{watch: tell(progress("1"))})
	_, err := c.Wait(ctx, "r", func([]byte) { cancel(cause) })
	if !errors.Is(err, cause) {
		t.Errorf("Wait gives %v, want the cause of its context", err)
	}
}

func TestWaitEndsWithTheBroker(t *testing.T) {
	closed := make(chan broker.Event)
	close(closed)
	c := client.New(&fake{watch: func(context.Context, string) (<-chan broker.Event, error) { return closed, nil }})
	if _, err := c.Wait(t.Context(), "r", nil); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Wait gives %v, want broker.ErrClosed", err)
	}
}

func TestSubmitAndWaitWatchesFirst(t *testing.T) {
	var order []string
	f := &fake{result: none}
	f.watch = func(ctx context.Context, id string) (<-chan broker.Event, error) {
		order = append(order, "watch "+id)
		return tell(completed(id, "done"))(ctx, id)
	}
	f.submit = func(r broker.Request) error { order = append(order, "submit "+r.ID); return nil }
	o, err := client.New(f).SubmitAndWait(t.Context(), client.Request{Kind: "k", ID: "r"}, nil)
	if err != nil || string(o.Result) != "done" || !slices.Equal(order, []string{"watch r", "submit r"}) {
		t.Errorf("SubmitAndWait = %+v, %v after %v", o, err, order)
	}
}

// An outcome that is there already belongs to another request of that ID.
func TestSubmitAndWaitRefusesAnIDThatHasEnded(t *testing.T) {
	f := &fake{result: func(id string) (occamy.Outcome, error) { return occamy.Outcome{ID: id}, nil }}
	_, err := client.New(f).SubmitAndWait(t.Context(), client.Request{Kind: "k", ID: "r"}, nil)
	if !errors.Is(err, client.ErrEnded) {
		t.Errorf("SubmitAndWait gives %v, want ErrEnded", err)
	}
}

// goleak tells should the watch outlive the failed call.
func TestSubmitAndWaitStopsWatchingWhenItCannotSubmit(t *testing.T) {
	f := &fake{watch: tell(), submit: func(broker.Request) error { return broker.ErrClosed }}
	o, err := client.New(f).SubmitAndWait(t.Context(), client.Request{Kind: "k"}, nil)
	if !errors.Is(err, broker.ErrClosed) || o.ID == "" {
		t.Errorf("SubmitAndWait = %+v, %v; want an ID and broker.ErrClosed", o, err)
	}
}

func TestResultIsNoErrorForABadEnd(t *testing.T) {
	f := &fake{result: func(id string) (occamy.Outcome, error) {
		return occamy.Outcome{ID: id, Status: occamy.Rejected, Reason: "no"}, nil
	}}
	o, err := client.New(f).Result(t.Context(), "r")
	if err != nil || o.Status != occamy.Rejected {
		t.Errorf("Result = %+v, %v", o, err)
	}
	if err := client.OutcomeError(o); !errors.Is(err, client.ErrRejected) {
		t.Errorf("OutcomeError gives %v, want ErrRejected", err)
	}
	if _, err := client.New(&fake{result: none}).Result(t.Context(), "r"); !errors.Is(err, broker.ErrNotFound) {
		t.Errorf("Result gives %v, want broker.ErrNotFound", err)
	}
}

// seeking is a broker that says for which IDs it need not look for an outcome.
type seeking struct {
	*fake
	isNew map[string]bool
}

func (s seeking) WatchNew(ctx context.Context, id string) (<-chan broker.Event, error) {
	s.isNew[id] = true
	return s.watch(ctx, id)
}

func TestSubmitAndWaitLooksForAnOutcomeOnlyOfAGivenID(t *testing.T) {
	b := seeking{&fake{
		watch:  tell(completed("r", "done")),
		result: none,
		submit: func(broker.Request) error { return nil },
	}, make(map[string]bool)}
	for _, given := range []string{"", "mine"} {
		o, err := client.New(b).SubmitAndWait(t.Context(), client.Request{Kind: "k", ID: given}, nil)
		if err != nil || string(o.Result) != "done" {
			t.Errorf("SubmitAndWait of the ID %q = %+v, %v", given, o, err)
		}
	}
	if len(b.isNew) != 1 || b.isNew["mine"] {
		t.Errorf("IDs taken for new: %v; want the one that the client made", b.isNew)
	}
}
