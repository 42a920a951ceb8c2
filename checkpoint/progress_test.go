package checkpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/checkpointtest"
)

var _ occamy.SettleObserver = (*checkpoint.Progress)(nil)

// mustClaim claims and checks what is there.
func mustClaim(t *testing.T, p *checkpoint.Progress, want []byte) {
	t.Helper()
	got, err := p.Claim(t.Context())
	if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("Claim: %q, %v; want %q", got, err, want)
	}
}

func mustSave(t *testing.T, p *checkpoint.Progress, value string) {
	t.Helper()
	if err := p.Save(t.Context(), []byte(value)); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func wantGone(t *testing.T, s checkpoint.Store, key string) {
	t.Helper()
	if e, err := s.Load(t.Context(), key); !errors.Is(err, checkpoint.ErrNotFound) {
		t.Errorf("%q has %v (%v); want it gone", key, e, err)
	}
}

func TestAnAttemptGoesOnWhereTheLastOneStopped(t *testing.T) {
	store := &checkpoint.Memory{}
	first := checkpoint.New(store, "r")
	mustClaim(t, first, nil)
	mustSave(t, first, "half")
	mustSave(t, first, "")

	second := checkpoint.New(store, "r")
	mustClaim(t, second, []byte{})
	mustSave(t, second, "all")
	mustClaim(t, checkpoint.New(store, "r"), []byte("all"))
}

func TestAZombieIsSuperseded(t *testing.T) {
	store := &checkpoint.Memory{}
	zombie := checkpoint.New(store, "r")
	mustClaim(t, zombie, nil)
	mustSave(t, zombie, "old")
	heir := checkpoint.New(store, "r")
	mustClaim(t, heir, []byte("old"))

	for name, call := range map[string]func() error{
		"Save":   func() error { return zombie.Save(t.Context(), []byte("stale")) },
		"Delete": func() error { return zombie.Delete(t.Context()) },
	} {
		for range 2 {
			if err := call(); !errors.Is(err, checkpoint.ErrSuperseded) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	zombie.Settled(t.Context(), occamy.Acked)
	mustSave(t, heir, "new")
	mustClaim(t, checkpoint.New(store, "r"), []byte("new"))

	if err := heir.Save(t.Context(), nil); !errors.Is(err, checkpoint.ErrSuperseded) {
		t.Errorf("Save after another claim: %v", err)
	}
	mustClaim(t, heir, []byte("new")) // to claim anew is as good as another attempt
	mustSave(t, heir, "newer")
}

func TestAZombieOfARequestThatWasAckedIsSupersededToo(t *testing.T) {
	store := &checkpoint.Memory{}
	zombie := checkpoint.New(store, "r")
	mustClaim(t, zombie, nil)
	heir := checkpoint.New(store, "r")
	mustClaim(t, heir, nil)
	heir.Settled(t.Context(), occamy.Acked)
	if err := zombie.Save(t.Context(), nil); !errors.Is(err, checkpoint.ErrSuperseded) {
		t.Errorf("Save: %v", err)
	}
	wantGone(t, store, "r")
	if err := heir.Save(t.Context(), nil); !errors.Is(err, checkpoint.ErrNotClaimed) {
		t.Errorf("Save after the ack: %v", err)
	}
	wantGone(t, store, "r")
}

func TestOfManyWhoClaimTheLastOneHolds(t *testing.T) {
	store := &checkpoint.Memory{}
	all := make([]*checkpoint.Progress, 50)
	var wg sync.WaitGroup
	for i := range all {
		all[i] = checkpoint.New(store, "r")
		wg.Go(func() {
			if _, err := all[i].Claim(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	last := slices.MaxFunc(all, func(a, b *checkpoint.Progress) int { return int(a.Revision()) - int(b.Revision()) })
	for _, p := range all {
		err := p.Save(t.Context(), []byte("x"))
		if p == last && err != nil || p != last && !errors.Is(err, checkpoint.ErrSuperseded) {
			t.Errorf("claimed at %d of %d: %v", p.Revision(), last.Revision(), err)
		}
	}
}

func TestRevisionIsAFencingToken(t *testing.T) {
	store := &checkpoint.Memory{}
	var last checkpoint.Revision
	grown := func(p *checkpoint.Progress) {
		t.Helper()
		if r := p.Revision(); r <= last {
			t.Errorf("revision %d after %d", r, last)
		} else {
			last = r
		}
	}
	for range 3 {
		p := checkpoint.New(store, "r")
		if r := p.Revision(); r != 0 {
			t.Errorf("revision %d before the claim", r)
		}
		for range 2 {
			_, _ = p.Claim(t.Context())
			grown(p)
			mustSave(t, p, "x")
			grown(p)
		}
		p.Settled(t.Context(), occamy.Acked)
	}
}

func TestProgressIsRemovedWhenItsRequestIsAckedAndNotBefore(t *testing.T) {
	for s, gone := range map[occamy.Settlement]bool{
		occamy.Acked: true, occamy.RejectedForGood: false, occamy.Requeued: false, occamy.Lost: false,
	} {
		for name, prepare := range map[string]func(p *checkpoint.Progress){
			"claimed":   func(p *checkpoint.Progress) { mustClaim(t, p, []byte("half")) },
			"never run": func(*checkpoint.Progress) {},
			"deleted":   func(p *checkpoint.Progress) { mustClaim(t, p, []byte("half")); _ = p.Delete(t.Context()) },
		} {
			t.Run(fmt.Sprintf("%s, %s", s, name), func(t *testing.T) {
				store := &checkpoint.Memory{}
				earlier := checkpoint.New(store, "r")
				mustClaim(t, earlier, nil)
				mustSave(t, earlier, "half")
				p := checkpoint.New(store, "r")
				prepare(p)
				p.Settled(t.Context(), s)
				if want := map[bool]int{true: 0, false: 1}[gone || name == "deleted"]; store.Len() != want {
					t.Errorf("%d values are left, want %d", store.Len(), want)
				}
			})
		}
	}
}

func TestSettledTouchesNothingOfARequestAfterItsDelete(t *testing.T) {
	store := &checkpoint.Memory{}
	p := checkpoint.New(store, "r")
	mustClaim(t, p, nil)
	if err := p.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := checkpoint.New(store, "r") // a new request with the ID
	mustClaim(t, again, nil)
	p.Settled(t.Context(), occamy.Acked)
	mustSave(t, again, "x")
}

func TestWhatProgressDidNotSaveIsLeftAlone(t *testing.T) {
	store := &checkpoint.Memory{}
	if _, err := store.Save(t.Context(), "r", []byte("of somebody else")); err != nil {
		t.Fatal(err)
	}
	p := checkpoint.New(store, "r")
	if _, err := p.Claim(t.Context()); !errors.Is(err, checkpoint.ErrFormat) || !strings.Contains(err.Error(), `"r"`) {
		t.Errorf("Claim: %v", err)
	}
	p.Settled(t.Context(), occamy.Acked)
	if e, err := store.Load(t.Context(), "r"); err != nil || string(e.Value) != "of somebody else" {
		t.Errorf("%q, %v", e.Value, err)
	}
}

func TestProgressNeedsAClaim(t *testing.T) {
	p := checkpoint.New(&checkpoint.Memory{}, "r")
	if err := errors.Join(p.Save(t.Context(), nil)); !errors.Is(err, checkpoint.ErrNotClaimed) {
		t.Errorf("Save: %v", err)
	}
	if err := p.Delete(t.Context()); !errors.Is(err, checkpoint.ErrNotClaimed) {
		t.Errorf("Delete: %v", err)
	}
}

func TestProgressSaysWhatIsTooLarge(t *testing.T) {
	store := checkpoint.NewMemory(checkpoint.Options{MaxValue: 100 + checkpoint.Overhead})
	p := checkpoint.New(store, "r")
	mustClaim(t, p, nil)
	mustSave(t, p, strings.Repeat("x", 100))
	err := p.Save(t.Context(), make([]byte, 200))
	if !errors.Is(err, checkpoint.ErrTooLarge) || !errors.Is(err, occamy.ErrTooLarge) {
		t.Errorf("Save: %v", err)
	}
	mustSave(t, p, "small again")
}

func TestACallWaitsForTheOneBeforeOrForItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		store := &checkpointtest.Faulty{Store: &checkpoint.Memory{}}
		p := checkpoint.New(store, "r")
		mustClaim(t, p, nil)
		store.Fault = func(checkpointtest.Op, string) checkpointtest.Fault { <-slow; return checkpointtest.None }
		go func() { mustSave(t, p, "first") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Save(ctx, []byte("second")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Save: %v", err)
		}
		_ = p.Revision() // does not wait
		close(slow)
		synctest.Wait()
		mustClaim(t, checkpoint.New(store, "r"), []byte("first"))
	})
}

func TestSettledTriesUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &checkpointtest.Faulty{Store: &checkpoint.Memory{}}
		p := checkpoint.New(store, "r")
		mustClaim(t, p, nil)
		down := time.Now().Add(20 * time.Second)
		store.Fault = func(checkpointtest.Op, string) checkpointtest.Fault {
			if time.Now().Before(down) {
				return checkpointtest.Refused
			}
			return checkpointtest.None
		}
		for _, d := range []time.Duration{10 * time.Second, 12 * time.Second} {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), d)
			p.Settled(ctx, occamy.Acked)
			cancel()
			if took := time.Since(begun); took > d {
				t.Errorf("it took %v", took)
			}
		}
		wantGone(t, store, "r")
	})
}
