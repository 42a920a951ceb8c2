package checkpointtest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/occamy-go/occamy/checkpoint"
)

func saveReplaces(t *testing.T, w World) {
	b, other := w.box(t, "key"), w.box(t, "key")
	first := b.save("one")
	second := other.save("two")
	if second <= first {
		t.Errorf("revision %d after %d", second, first)
	}
	b.want("two", second)
	b.conflict(first)
	b.want("two", second)
}

func comparesRevisions(t *testing.T, w World) {
	b, other := w.box(t, "key"), w.box(t, "key")
	b.conflict(1)
	b.wantNone()
	first := b.compareAndSave("one", 0)
	other.want("one", first)
	other.conflict(0)
	other.conflict(first + 1)
	second := other.compareAndSave("two", first)
	b.conflict(first)
	b.conflict(0)
	b.want("two", second)
	b.remove()
	b.conflict(second)
	third := other.compareAndSave("three", 0)
	if third <= second {
		t.Errorf("revision %d after %d was deleted", third, second)
	}
	b.conflict(second)
	b.want("three", third)
}

func revisionsAreNew(t *testing.T, w World) {
	b, other := w.box(t, "key"), w.box(t, "other")
	var last checkpoint.Revision
	for i := range 20 {
		switch i % 4 {
		case 0:
			b = w.box(t, "key") // as after a restart
		case 1:
			b.remove()
		case 2:
			other.save("x")
			other.remove()
		}
		if rev := b.save("x"); rev <= last {
			t.Fatalf("revision %d after %d", rev, last)
		} else {
			last = rev
		}
	}
}

const writers = 8

// boxes gives each writer a store of its own.
func (w World) boxes(t *testing.T) []*box {
	all := make([]*box, writers)
	for i := range all {
		all[i] = w.box(t, "key")
	}
	return all
}

// together runs f for each writer at once.
func together(all []*box, f func(n int, b *box)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for n, b := range all {
		wg.Go(func() {
			<-start
			f(n, b)
		})
	}
	close(start)
	wg.Wait()
}

func oneWins(t *testing.T, w World) {
	b, all := w.box(t, "key"), w.boxes(t)
	var rev checkpoint.Revision
	for round := range 10 {
		var mu sync.Mutex
		won := map[int]checkpoint.Revision{}
		together(all, func(n int, mine *box) {
			got, err := mine.store.CompareAndSave(mine.ctx, "key", fmt.Append(nil, n), rev)
			switch {
			case err == nil:
				mu.Lock()
				won[n] = got
				mu.Unlock()
			case !errors.Is(err, checkpoint.ErrConflict):
				t.Errorf("CompareAndSave: %v", err)
			}
		})
		if len(won) != 1 {
			t.Fatalf("round %d: %d of %d have won: %v", round, len(won), writers, won)
		}
		for n, got := range won {
			b.want(strconv.Itoa(n), got)
			rev = got
		}
		if round%3 == 2 {
			b.remove()
			rev = 0
		}
	}
}

func countsTogether(t *testing.T, w World) {
	const each = 10
	together(w.boxes(t), func(_ int, b *box) {
		for range each {
			for {
				e, err := b.store.Load(b.ctx, b.key)
				if err != nil && !errors.Is(err, checkpoint.ErrNotFound) {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(e.Value))
				_, err = b.store.CompareAndSave(b.ctx, b.key, fmt.Append(nil, n+1), e.Revision)
				if err == nil {
					break
				}
				if !errors.Is(err, checkpoint.ErrConflict) {
					t.Error(err)
					return
				}
			}
		}
	})
	b := w.box(t, "key")
	if e, err := b.store.Load(b.ctx, b.key); err != nil || string(e.Value) != strconv.Itoa(writers*each) {
		t.Errorf("counted to %s, %v; want %d", e.Value, err, writers*each)
	}
}

// Some save, one deletes, one looks: no revision is given twice, and what is
// seen of the key never goes back.
func growsUnderContention(t *testing.T, w World) {
	const each = 25
	var mu sync.Mutex
	given := map[checkpoint.Revision]bool{}
	together(w.boxes(t), func(n int, b *box) {
		var last checkpoint.Revision
		for range each {
			switch n {
			case 0:
				b.remove()
				continue
			case 1:
				e, err := b.store.Load(b.ctx, b.key)
				if err != nil && !errors.Is(err, checkpoint.ErrNotFound) {
					t.Error(err)
					return
				}
				if err == nil && e.Revision < last {
					t.Errorf("revision %d was seen after %d", e.Revision, last)
				}
				last = max(last, e.Revision)
				continue
			}
			rev := b.save("x")
			if rev <= last {
				t.Errorf("saved as %d after %d", rev, last)
			}
			last = rev
			mu.Lock()
			if given[rev] {
				t.Errorf("revision %d was given twice", rev)
			}
			given[rev] = true
			mu.Unlock()
		}
	})
}
