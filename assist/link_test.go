package assist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist/internal/wire"
)

// taking is a job whose units take as many milliseconds as they say, each; one
// below zero fails.
type taking struct {
	counting
	computed *atomic.Int64
}

func (j *taking) Compute(ctx context.Context, u int) (int, error) {
	if u < 0 {
		return 0, errors.New("no luck")
	}
	select {
	case <-time.After(time.Duration(u) * time.Millisecond):
		j.computed.Add(1)
		return u, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// linkTest is an assistant whose master the test plays.
type linkTest struct {
	t        *testing.T
	post     *played
	a        *assistant
	computed atomic.Int64
	stop     context.CancelCauseFunc
	ended    chan error // what Do has returned
	seq      uint64     // of grants
	errs     chan error
}

func withAssistant(t *testing.T, post *played, cfg Config, f func(l *linkTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if post == nil {
			post = &played{}
		}
		l := &linkTest{t: t, post: post, ended: make(chan error, 1), errs: make(chan error, 1000)}
		cfg.Broker = l.post
		cfg.OnError = func(err error) { l.errs <- err }
		h := Units(func(context.Context, occamy.Request) (UnitsJob[int, int], error) {
			return &taking{computed: &l.computed}, nil
		}, cfg).(*handler)
		r := occamy.Request{ID: "job", Kind: "k"}
		l.a = h.newAssistant(r, h.jobOf(r), "ann", &lull{})
		ctx, stop := context.WithCancelCause(t.Context())
		l.stop = stop
		go func() { l.ended <- l.a.Do(ctx) }()
		synctest.Wait()
		f(l)
		stop(nil)
		synctest.Wait()
	})
}

// grants has the master say something.
func (l *linkTest) grants(g wire.Grant) {
	l.t.Helper()
	l.seq++
	g.Job, g.Run = l.a.link.job, l.a.link.number
	if g.Seq == 0 {
		g.Seq = l.seq
	}
	if g.Epoch == 0 {
		g.Epoch = ownEpoch
	}
	if err := l.a.link.take(g.Encode()); err != nil {
		l.t.Fatal(err)
	}
	synctest.Wait()
}

// units makes units of so many milliseconds.
func units(first uint64, millis ...int) (us []wire.Unit) {
	for k, n := range millis {
		us = append(us, wire.Unit{Index: first + uint64(k), Body: fmt.Append(nil, n)})
	}
	return us
}

// reports returns what the assistant has said since the last call.
func (l *linkTest) reports() (rs []wire.Report) {
	l.t.Helper()
	synctest.Wait()
	for _, b := range l.post.taken("job") {
		r, err := wire.DecodeReport(b)
		if err != nil {
			l.t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

// results are the units whose results are in reports.
func results(rs []wire.Report) (is []uint64) {
	for _, r := range rs {
		for _, res := range r.Results {
			is = append(is, res.Index)
		}
	}
	return is
}

func (l *linkTest) wantEndWithin(d time.Duration) {
	l.t.Helper()
	begin := time.Now()
	time.Sleep(d)
	synctest.Wait()
	select {
	case err := <-l.ended:
		if err != nil {
			l.t.Errorf("it ended with %v", err)
		}
	default:
		l.t.Errorf("it still runs after %v", time.Since(begin))
	}
}

func (l *linkTest) wantRunning() {
	l.t.Helper()
	synctest.Wait()
	if len(l.ended) > 0 {
		l.t.Errorf("it ended with %v", <-l.ended)
	}
}

func TestAnAssistantAsksAtOnceAndThenNowAndThen(t *testing.T) {
	withAssistant(t, nil, Config{LeaseTimeout: 8 * time.Second}, func(l *linkTest) {
		rs := l.reports()
		if len(rs) != 1 || rs[0].Seq != 1 || rs[0].Want != 2 {
			t.Fatalf("said %+v, want that it wants a unit and one ahead", rs)
		}
		l.grants(wire.Grant{Units: units(0, 10_000)})
		l.reports()
		time.Sleep(3500 * time.Millisecond)
		if rs := l.reports(); len(rs) != 3 || !slices.Equal(rs[2].Held, []uint64{0}) {
			t.Errorf("said %+v in 3.5 s, want what it holds each second", rs)
		}
	})
}

func TestShortUnitsTravelTogether(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.grants(wire.Grant{Units: units(0, 1)})
		time.Sleep(time.Millisecond)
		rs := l.reports()
		last := rs[len(rs)-1]
		if want := uint64(26); last.Want != want {
			t.Fatalf("it wants %d units of 1 ms, want %d: those of %v and the next", last.Want, want, horizon)
		}
		l.grants(wire.Grant{Heard: last.Seq, Units: units(1, slices.Repeat([]int{1}, 26)...)})
		time.Sleep(26 * time.Millisecond)
		rs = l.reports()
		if n := len(results(rs)); n != 26 || len(rs) > 16 {
			t.Errorf("%d results in %d reports", n, len(rs))
		}
	})
}

func TestOfLongUnitsItHasOneAhead(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.grants(wire.Grant{Units: units(0, 1000, 1000)})
		time.Sleep(time.Second)
		rs := l.reports()
		last := rs[len(rs)-1]
		if last.Want != 1 || !slices.Equal(last.Held, []uint64{1}) || !slices.Equal(results(rs[len(rs)-1:]), []uint64{0}) {
			t.Errorf("said %+v, want one result, one unit in hand and one wanted", last)
		}
	})
}

func TestAPreemptedAssistantHandsBackAtOnce(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.grants(wire.Grant{Units: units(0, 0, 1000, 1000)})
		l.reports() // unconfirmed
		begin := time.Now()
		l.stop(occamy.ErrPreempted)
		synctest.Wait()
		if err := <-l.ended; !errors.Is(err, occamy.ErrPreempted) {
			t.Errorf("it ended with %v", err)
		}
		rs := l.reports()
		if len(rs) != 1 || !rs[0].Leaving || len(rs[0].Held) != 0 || !slices.Equal(results(rs), []uint64{0}) || time.Since(begin) != 0 {
			t.Errorf("said %+v after %v, want that it leaves, and the result that is not confirmed", rs, time.Since(begin))
		}
	})
}

// What it has computed is not lost, however much it is.
func TestWhoLeavesSaysAllThatItHas(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.post.does(nobody)
		l.grants(wire.Grant{Units: units(0, slices.Repeat([]int{0}, 1000)...)})
		l.grants(wire.Grant{Units: units(1000, slices.Repeat([]int{0}, 500)...)})
		l.post.does(nil)
		l.stop(occamy.ErrShutdown)
		if err := <-l.ended; !errors.Is(err, occamy.ErrShutdown) {
			t.Errorf("it ended with %v", err)
		}
		rs := l.reports()
		n, last := len(results(rs)), rs[len(rs)-1]
		if n != 1500 || !last.Leaving || rs[0].Leaving {
			t.Errorf("said %d results in %d reports, the last one leaving: %v", n, len(rs), last.Leaving)
		}
	})
}

func TestWithoutAMasterAnAssistantIsPatient(t *testing.T) {
	withAssistant(t, &played{control: nobody}, Config{Patience: 2 * time.Second}, func(l *linkTest) {
		time.Sleep(1900 * time.Millisecond)
		l.wantRunning()
		if l.post.called() > 20 {
			t.Errorf("it asked %d times", l.post.called())
		}
		l.wantEndWithin(700 * time.Millisecond)
	})
}

// One that waited in a queue until its master had ended does not wait for it.
func TestWhenTheMastersRequestHasEndedAnAssistantEndsAtOnce(t *testing.T) {
	post := &played{control: nobody, ended: map[string]bool{"job": true}}
	withAssistant(t, post, Config{Patience: time.Hour}, func(l *linkTest) {
		l.wantEndWithin(time.Millisecond)
	})
}

func TestAMasterThatTakesReportsAndForgetsTheAssistant(t *testing.T) {
	withAssistant(t, nil, Config{LeaseTimeout: 4 * time.Second, Patience: 2 * time.Second}, func(l *linkTest) {
		time.Sleep(5 * time.Second)
		l.wantRunning()
		l.wantEndWithin(2 * time.Second)
	})
}

func TestAnAssistantThatComputesIsNotForgotten(t *testing.T) {
	withAssistant(t, nil, Config{LeaseTimeout: 4 * time.Second, Patience: 2 * time.Second}, func(l *linkTest) {
		l.grants(wire.Grant{Units: units(0, 60_000)})
		time.Sleep(59 * time.Second)
		l.wantRunning()
	})
}

func TestToldToEnd(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.grants(wire.Grant{Units: units(0, 60_000)})
		l.grants(wire.Grant{State: wire.End})
		l.wantEndWithin(0)
		for _, r := range l.reports() {
			if r.Leaving {
				t.Error("it says what the master knows")
			}
		}
	})
}

func TestAZombieIsNotObeyed(t *testing.T) {
	withAssistant(t, nil, Config{LeaseTimeout: 4 * time.Second}, func(l *linkTest) {
		l.grants(wire.Grant{Epoch: 5, Units: units(0, 60_000)})
		l.grants(wire.Grant{Epoch: 4, State: wire.End})
		l.wantRunning()
		l.reports()
		time.Sleep(5 * time.Second) // its own master is silent, so it may be the only one
		l.grants(wire.Grant{Epoch: 4, State: wire.End})
		l.wantEndWithin(0)
	})
}

func TestAGrantThatCameTwice(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.grants(wire.Grant{Seq: 1, Units: units(0, 10)})
		time.Sleep(20 * time.Millisecond)
		l.grants(wire.Grant{Seq: 1, Units: units(0, 10)})
		time.Sleep(20 * time.Millisecond)
		if n := l.computed.Load(); n != 1 {
			t.Errorf("computed %d times", n)
		}
	})
}

// What no grant has confirmed is said again: to a new master, after a failure,
// and after a while.
func TestResultsAreSaidUntilTheyAreConfirmed(t *testing.T) {
	for name, happens := range map[string]func(l *linkTest){
		"a new master": func(l *linkTest) { l.grants(wire.Grant{Epoch: ownEpoch + 1}) },
		"no answer":    func(*linkTest) { time.Sleep(2 * resend) },
	} {
		t.Run(name, func(t *testing.T) {
			withAssistant(t, nil, Config{}, func(l *linkTest) {
				l.grants(wire.Grant{Units: units(7, 0, 60_000)})
				if is := results(l.reports()); !slices.Equal(is, []uint64{7}) {
					t.Fatalf("said the results of %v", is)
				}
				happens(l)
				rs := l.reports()
				if is := results(rs); !slices.Contains(is, 7) {
					t.Fatalf("said the results of %v", is)
				}
				l.grants(wire.Grant{Epoch: rs[len(rs)-1].Epoch, Seq: 99, Heard: rs[len(rs)-1].Seq})
				l.reports()
				time.Sleep(2 * resend)
				if is := results(l.reports()); len(is) > 0 {
					t.Errorf("said the results of %v although they were confirmed", is)
				}
			})
		})
	}
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.post.does(func(string, []byte) error { return errors.New("down") })
		l.grants(wire.Grant{Units: units(7, 0, 60_000)})
		time.Sleep(100 * time.Millisecond)
		l.post.does(nil)
		time.Sleep(l.a.h.cfg.beat())
		if is := results(l.reports()); !slices.Contains(is, 7) {
			t.Errorf("said the results of %v after a failure", is)
		}
	})
}

func TestAUnitThatFailsIsReported(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.grants(wire.Grant{Units: units(3, -1)})
		rs := l.reports()
		last := rs[len(rs)-1]
		for _, r := range rs {
			if len(r.Results) == 1 {
				last = r
			}
		}
		if len(last.Results) != 1 || !last.Results[0].Failed || string(last.Results[0].Body) != "no luck" {
			t.Errorf("said %+v", last)
		}
	})
}

func TestAResultThatIsTooLargeIsAFailure(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.reports()
		l.post.does(func(_ string, body []byte) error {
			if r, err := wire.DecodeReport(body); err != nil || len(r.Results) > 0 && !r.Results[0].Failed {
				return errors.Join(occamy.ErrTooLarge, err)
			}
			return nil
		})
		l.grants(wire.Grant{Units: units(3, 0)})
		var failed bool
		for _, r := range l.reports() {
			for _, res := range r.Results {
				failed = failed || res.Failed
			}
		}
		if !failed {
			t.Error("it is not reported")
		}
	})
}

// Places for further assistants are taken once, until the master says more.
func TestARootTakesAPlaceOnce(t *testing.T) {
	withAssistant(t, nil, Config{}, func(l *linkTest) {
		l.grants(wire.Grant{Room: 3})
		for _, step := range []struct{ ask, want int }{{2, 2}, {2, 1}, {2, 0}} {
			if n := l.a.link.offer(step.ask); n != step.want {
				t.Errorf("asked for %d, offers %d, want %d", step.ask, n, step.want)
			}
		}
	})
}

func TestAnAssistantWhoseJobIsRefusedMakesALull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Units(func(context.Context, occamy.Request) (UnitsJob[int, int], error) {
			return nil, errors.New("no licence here")
		}, Config{Broker: &played{}}).(*handler)
		var quiet lull
		r := &root{h.newAssistant(occamy.Request{ID: "job"}, wire.Job{}, "root", &lull{})}
		r.link.room, r.lull = 10, &quiet
		helpers := r.Expand(t.Context(), 2)
		if len(helpers) != 2 {
			t.Fatalf("%d helpers", len(helpers))
		}
		if err := helpers[0].Do(t.Context()); err == nil {
			t.Error("no error")
		}
		if n := len(r.Expand(t.Context(), 2)); n != 0 {
			t.Errorf("%d helpers, which would fail at once", n)
		}
		time.Sleep(2 * time.Second)
		if n := len(r.Expand(t.Context(), 2)); n != 2 {
			t.Errorf("%d helpers after a while", n)
		}
	})
}
