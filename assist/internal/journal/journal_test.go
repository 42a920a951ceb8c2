package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/checkpointtest"
)

// opened opens a journal and returns it with what it restored.
func opened(t *testing.T, s checkpoint.Store) (*Journal, map[uint64]string) {
	t.Helper()
	j, got := New(s, "job"), map[uint64]string{}
	err := j.Open(t.Context(), func(i uint64, r []byte) error {
		got[i] = string(r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, got
}

func flush(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got, want map[uint64]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%d results were restored, want %d", len(got), len(want))
	}
}

func TestWhatWasFlushedIsRestored(t *testing.T) {
	store := &checkpoint.Memory{}
	j, got := opened(t, store)
	want(t, got, map[uint64]string{})
	all := map[uint64]string{}
	for i := range uint64(10) {
		all[i] = strings.Repeat("x", int(i))
		j.Add(i, []byte(all[i]))
		if i%3 == 0 {
			flush(t, j)
		}
	}
	if j.Unkept() != 0 {
		t.Errorf("%d bytes are not kept", j.Unkept())
	}
	j.Add(99, []byte("is lost with the process"))
	_, got = opened(t, store)
	want(t, got, all)
}

// However often it is flushed, there are few segments, each of a bounded size.
func TestSegmentsAreMerged(t *testing.T) {
	store := &checkpoint.Memory{}
	j, _ := opened(t, store)
	all := map[uint64]string{}
	for i := range uint64(600) {
		all[i] = strings.Repeat("x", 2000)
		j.Add(i, []byte(all[i]))
		flush(t, j)
		if n := store.Len(); n > 30 {
			t.Fatalf("%d keys after %d flushes", n, i+1)
		}
	}
	for _, s := range j.segments {
		if s.size > segmentBytes {
			t.Errorf("a segment of %d bytes", s.size)
		}
	}
	_, got := opened(t, store)
	want(t, got, all)
}

func TestAResultLargerThanASegment(t *testing.T) {
	store := &checkpoint.Memory{}
	j, _ := opened(t, store)
	all := map[uint64]string{1: "small", 2: strings.Repeat("y", 3*segmentBytes), 3: "small too"}
	for _, i := range slices.Sorted(maps.Keys(all)) {
		j.Add(i, []byte(all[i]))
	}
	flush(t, j)
	_, got := opened(t, store)
	want(t, got, all)
}

func TestAnAttemptThatWasReplacedKeepsNothing(t *testing.T) {
	store := &checkpoint.Memory{}
	zombie, _ := opened(t, store)
	zombie.Add(1, []byte("of the zombie"))
	flush(t, zombie)
	next, _ := opened(t, store)
	if zombie.Revision() >= next.Revision() {
		t.Error("revisions do not grow")
	}
	next.Add(2, []byte("of the next"))
	flush(t, next)
	zombie.Add(3, []byte("late"))
	if err := zombie.Flush(t.Context()); !errors.Is(err, checkpoint.ErrSuperseded) {
		t.Errorf("the zombie's flush: %v", err)
	}
	// Even when it takes its request for acked.
	zombie.Settled(t.Context(), occamy.Acked)
	_, got := opened(t, store)
	want(t, got, map[uint64]string{1: "of the zombie", 2: "of the next"})
}

func TestAJournalIsRemovedWhenTheRequestIsAcked(t *testing.T) {
	for _, s := range []occamy.Settlement{occamy.Acked, occamy.RejectedForGood, occamy.Requeued, occamy.Lost} {
		store := &checkpoint.Memory{}
		j, _ := opened(t, store)
		for i := range uint64(20) {
			j.Add(i, bytes.Repeat([]byte("x"), 50_000))
			flush(t, j)
		}
		before := store.Len()
		j.Settled(t.Context(), s)
		if n := store.Len(); s == occamy.Acked && n != 0 || s != occamy.Acked && n != before {
			t.Errorf("%s: %d of %d keys are left", s, n, before)
		}
	}
}

// The request was cancelled while it was on its way to another attempt.
func TestAJournalIsRemovedByAnAttemptThatNeverRan(t *testing.T) {
	store := &checkpoint.Memory{}
	j, _ := opened(t, store)
	j.Add(1, []byte("one"))
	flush(t, j)
	New(store, "job").Settled(t.Context(), occamy.Acked)
	if n := store.Len(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestASegmentThatHasExpiredIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := checkpoint.NewMemory(checkpoint.Options{MaxAge: time.Hour})
		j, _ := opened(t, store)
		big := strings.Repeat("x", segmentBytes)
		j.Add(1, []byte(big))
		flush(t, j)
		time.Sleep(40 * time.Minute)
		j.Add(2, []byte("two"))
		flush(t, j)
		time.Sleep(40 * time.Minute)
		next, got := opened(t, store)
		want(t, got, map[uint64]string{2: "two"})
		next.Add(1, []byte("again"))
		flush(t, next)
		_, got = opened(t, store)
		want(t, got, map[uint64]string{1: "again", 2: "two"})
	})
}

func TestWhatIsNoJournalIsRefused(t *testing.T) {
	store := &checkpoint.Memory{}
	p := checkpoint.New(store, "job")
	if _, err := p.Claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Save(t.Context(), []byte{headVersion + 1}); err != nil {
		t.Fatal(err)
	}
	err := New(store, "job").Open(t.Context(), nil)
	if !errors.Is(err, checkpoint.ErrFormat) {
		t.Errorf("got %v", err)
	}
}

// Whatever the store answers, refuses or does late, and wherever an attempt dies
// (also between a segment and the head), what a flush has confirmed is restored,
// and nothing is that was not added.
func TestAStoreWithFaults(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 2))
		memory := &checkpoint.Memory{}
		calm := true
		store := &checkpointtest.Faulty{Store: memory, Fault: func(checkpointtest.Op, string) checkpointtest.Fault {
			if calm || random.IntN(4) > 0 {
				return checkpointtest.None
			}
			return []checkpointtest.Fault{checkpointtest.Refused, checkpointtest.LostAnswer, checkpointtest.Late}[random.IntN(3)]
		}}
		added, kept := map[uint64]string{}, map[uint64]string{}
		var dead []*Journal
		var next uint64
		for range 6 { // attempts
			calm = true
			j, got := opened(t, store)
			for i, r := range kept {
				if got[i] != r {
					t.Fatalf("seed %d: result %d was kept and is lost", seed, i)
				}
			}
			for i, r := range got {
				if added[i] != r {
					t.Fatalf("seed %d: result %d was never added", seed, i)
				}
			}
			maps.Copy(kept, got)
			calm = false
			since := map[uint64]string{}
			for range random.IntN(20) {
				for range random.IntN(5) {
					r := fmt.Sprint("result ", next, strings.Repeat("x", random.IntN(20_000)))
					j.Add(next, []byte(r))
					added[next], since[next] = r, r
					next++
				}
				switch err := j.Flush(t.Context()); {
				case err == nil:
					maps.Copy(kept, since)
				case !errors.Is(err, checkpointtest.ErrFault):
					t.Fatalf("seed %d: %v", seed, err)
				}
				if random.IntN(3) == 0 {
					store.Arrive(t.Context())
				}
				for _, z := range dead { // zombies try too
					if z.Add(1<<40, []byte("zombie")); random.IntN(3) == 0 && z.Flush(t.Context()) == nil {
						t.Fatalf("seed %d: a zombie's flush was taken", seed)
					}
				}
			}
			dead = append(dead, j)
			if random.IntN(2) == 0 {
				store.Arrive(t.Context())
			}
		}
	}
}

func TestACrashBetweenSegmentAndHead(t *testing.T) {
	memory := &checkpoint.Memory{}
	crash := false
	store := &checkpointtest.Faulty{Store: memory, Fault: func(op checkpointtest.Op, _ string) checkpointtest.Fault {
		if crash && op == checkpointtest.CompareAndSave {
			return checkpointtest.Refused
		}
		return checkpointtest.None
	}}
	j, _ := opened(t, store)
	j.Add(1, []byte("one"))
	flush(t, j)
	crash = true
	j.Add(2, []byte("two"))
	if err := j.Flush(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if j.Unkept() == 0 {
		t.Error("it is taken for kept")
	}
	crash = false
	_, got := opened(t, memory)
	want(t, got, map[uint64]string{1: "one"})
}

func TestTheErrorOfTheUserEndsOpen(t *testing.T) {
	store := &checkpoint.Memory{}
	j, _ := opened(t, store)
	j.Add(1, nil)
	flush(t, j)
	refused := errors.New("refused")
	if err := New(store, "job").Open(context.Background(), func(uint64, []byte) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

func FuzzHead(f *testing.F) {
	f.Add(encodeHead([]segment{{1, 2}, {1 << 63, 300}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeHead(b)
		if err != nil || len(b) == 0 {
			return
		}
		again, err := decodeHead(encodeHead(s))
		if err != nil || !slices.Equal(again, s) {
			t.Errorf("%v became %v, %v", s, again, err)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(appendRecord(appendRecord(nil, 1, []byte("one")), 1<<63, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		err := decodeRecords(b, func(i uint64, r []byte) error {
			again = appendRecord(again, i, r)
			return nil
		})
		if err != nil {
			return
		}
		var n, m int
		_ = decodeRecords(b, func(uint64, []byte) error { n++; return nil })
		for _, part := range split(again) {
			if err := decodeRecords(part, func(uint64, []byte) error { m++; return nil }); err != nil {
				t.Error(err)
			}
		}
		if n != m {
			t.Errorf("%d records became %d", n, m)
		}
	})
}
