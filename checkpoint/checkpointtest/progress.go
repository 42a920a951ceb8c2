package checkpointtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
)

func takesOver(t *testing.T, w World) {
	ctx := within(t)
	const key = "request/s/1"
	claim := func(want []byte) *checkpoint.Progress {
		t.Helper()
		p := checkpoint.New(w.Open(t), key)
		got, err := p.Claim(ctx)
		if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
			t.Fatalf("Claim: %q, %v; want %q", got, err, want)
		}
		return p
	}
	zombie := claim(nil)
	if err := zombie.Save(ctx, []byte("half")); err != nil {
		t.Fatal(err)
	}
	heir := claim([]byte("half"))
	if heir.Revision() <= zombie.Revision() {
		t.Errorf("the token is %d, and that of the attempt before %d", heir.Revision(), zombie.Revision())
	}
	if err := zombie.Save(ctx, []byte("stale")); !errors.Is(err, checkpoint.ErrSuperseded) {
		t.Errorf("Save of a zombie: %v", err)
	}
	zombie.Settled(ctx, occamy.Acked)
	if err := heir.Save(ctx, []byte("all")); err != nil {
		t.Error(err)
	}
	last := claim([]byte("all"))
	last.Settled(ctx, occamy.Acked)
	if err := heir.Save(ctx, []byte("stale")); !errors.Is(err, checkpoint.ErrSuperseded) {
		t.Errorf("Save of a zombie after the ack: %v", err)
	}
	b := w.box(t, key)
	b.wantNone()
}

func oneHolds(t *testing.T, w World) {
	var mu sync.Mutex
	var all []*checkpoint.Progress
	together(w.boxes(t), func(_ int, b *box) {
		p := checkpoint.New(b.store, "key")
		if _, err := p.Claim(b.ctx); err != nil {
			t.Errorf("Claim: %v", err)
			return
		}
		mu.Lock()
		all = append(all, p)
		mu.Unlock()
	})
	ctx, saved := within(t), 0
	for i, p := range all {
		switch err := p.Save(ctx, fmt.Append(nil, i)); {
		case err == nil:
			saved++
		case !errors.Is(err, checkpoint.ErrSuperseded):
			t.Errorf("Save: %v", err)
		}
	}
	if saved != 1 {
		t.Errorf("%d of %d could save, want 1", saved, len(all))
	}
}

func expiredProgress(t *testing.T, w World) {
	b := w.box(t, "key")
	p := checkpoint.New(b.store, b.key)
	if _, err := p.Claim(b.ctx); err != nil {
		t.Fatal(err)
	}
	w.Expire(t, b.key)
	if err := p.Save(b.ctx, nil); !errors.Is(err, checkpoint.ErrSuperseded) {
		t.Errorf("Save: %v", err)
	}
	b.wantNone()
	if v, err := p.Claim(b.ctx); v != nil || err != nil {
		t.Errorf("Claim: %q, %v", v, err)
	}
}

// Attempts of one request come one after the other, each before the last one
// knows; calls fail, lose their answers and arrive late. Each attempt begins
// with what its predecessor saved last, or tried to after that, and never with
// what a zombie wrote after it was superseded.
func zombies(t *testing.T, w World) {
	for seed := range uint64(max(w.Seeds, 5)) {
		h := &history{
			box: w.box(t, fmt.Sprint("seed ", seed)), seed: seed,
			random: rand.New(rand.NewPCG(seed, 1)), possible: []string{""},
		}
		h.faulty = &Faulty{Store: h.store, Fault: h.fault}
		for range 6 {
			h.attempt()
		}
	}
}

type history struct {
	*box
	seed     uint64
	random   *rand.Rand
	faulty   *Faulty
	attempts []*checkpoint.Progress
	possible []string // what the next attempt may find
}

func (h *history) fault(op Op, _ string) Fault {
	f := Fault(h.random.IntN(8)) // mostly none
	if f > Late || op == Load && f != Refused {
		return None
	}
	return f
}

func (h *history) attempt() {
	p := checkpoint.New(h.faulty, h.key)
	got, err := p.Claim(h.ctx)
	for errors.Is(err, ErrFault) {
		got, err = p.Claim(h.ctx)
	}
	if err != nil {
		h.Fatalf("seed %d: Claim: %v", h.seed, err)
	}
	if !slices.Contains(h.possible, string(got)) {
		h.Fatalf("seed %d: attempt %d got %q, want one of %q", h.seed, len(h.attempts), got, h.possible)
	}
	h.possible = []string{string(got)}
	for n := range 10 {
		if h.random.IntN(3) == 0 {
			h.faulty.Arrive(h.ctx)
		}
		for _, zombie := range h.attempts {
			if zombie.Save(h.ctx, []byte("zombie")) == nil {
				h.Fatalf("seed %d: a zombie has saved", h.seed)
			}
		}
		value := fmt.Sprint(len(h.attempts), ".", n)
		switch err := p.Save(h.ctx, []byte(value)); {
		case err == nil:
			h.possible = []string{value}
		case errors.Is(err, ErrFault):
			h.possible = append(h.possible, value)
		default:
			h.Fatalf("seed %d: Save: %v", h.seed, err)
		}
	}
	h.attempts = append(h.attempts, p)
}
