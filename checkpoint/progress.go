package checkpoint

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/occamy-go/occamy"
)

// Progress is the progress of one request, which one attempt at a time holds:
// the one that claimed it last. Make one for each attempt, with New, in the
// handler that makes the task, and embed it in the task: its Settled removes
// the progress when the request is acked. Requests that are under way at the
// same time must not share a key, else they take it from each other.
//
// Its methods may be called by several goroutines; a call waits until the one
// before has been answered. They block until the store has answered or ctx
// ends.
type Progress struct {
	store Store
	key   string

	turn chan struct{} // has one element; who has taken it owns what is below

	state  state
	claim  claim
	number uint64        // of the last write that was tried
	rev    atomic.Uint64 // of the last write of ours that we know of; read by anyone
}

type state uint8

const (
	unclaimed state = iota
	claimed
	superseded
	removed
)

// mostUnclear is how many failures of a write are borne that do not say whether
// it was taken.
const mostUnclear = 3

// New returns the progress that the store keeps under a key, as a rule the ID
// of the request. Nothing is read or written yet.
func New(store Store, key string) *Progress {
	p := &Progress{store: store, key: key, turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p
}

// Claim takes the progress over from any earlier attempt, whose writes fail
// with ErrSuperseded from now on, and returns what was saved last: nil when
// nothing was, else a value of the caller's own. It writes even when there is
// nothing, so that attempts are told apart from the start. To call it again is
// as good as another attempt. After an error nothing is claimed, and it may be
// called again; one that wraps ErrFormat stays, until somebody deletes the key.
func (p *Progress) Claim(ctx context.Context) (value []byte, err error) {
	if err := p.begin(ctx); err != nil {
		return nil, p.wrap("claim", err)
	}
	defer p.end()
	value, err = p.takeOver(ctx)
	return value, p.wrap("claim", err)
}

func (p *Progress) takeOver(ctx context.Context) ([]byte, error) {
	p.state, p.number = unclaimed, 1
	p.rev.Store(0)
	rand.Read(p.claim[:])
	var failed failures
	for {
		e, rev, err := p.look(ctx)
		if err != nil {
			return nil, failed.then(err)
		}
		if e.claim != p.claim {
			if failed.enough() {
				return nil, failed.last
			}
			e.claim, e.number = p.claim, p.number
			rev, err = p.store.CompareAndSave(ctx, p.key, e.encode(), rev)
		}
		if err == nil {
			p.state = claimed
			p.rev.Store(uint64(rev))
			return e.content(), nil
		}
		failed.add(err)
	}
}

// Save replaces what the next attempt will get. It does not keep value. The
// error wraps ErrSuperseded when another attempt has claimed the progress since,
// or it is gone; every later call says the same. It wraps ErrTooLarge when the
// store does not take so much, and ErrNotClaimed before Claim. After any other
// error the value may have been saved; calling Save again is always right.
func (p *Progress) Save(ctx context.Context, value []byte) error {
	if err := p.begin(ctx); err != nil {
		return p.wrap("save", err)
	}
	defer p.end()
	return p.wrap("save", p.save(ctx, value))
}

func (p *Progress) save(ctx context.Context, value []byte) error {
	if err := p.holds(); err != nil {
		return err
	}
	p.number++
	e := envelope{claim: p.claim, number: p.number, hasValue: true, value: value}
	b := e.encode()
	var failed failures
	for !failed.enough() {
		rev, err := p.store.CompareAndSave(ctx, p.key, b, p.Revision())
		if err == nil {
			p.rev.Store(uint64(rev))
			return nil
		}
		failed.add(err)
		if found, err := p.reread(ctx); err != nil {
			return failed.then(err)
		} else if found.number == p.number {
			return nil // only the answer was lost
		}
	}
	return failed.last
}

// Delete removes the progress and gives the claim up. The error wraps
// ErrSuperseded when another attempt has claimed it since, whose progress stays.
func (p *Progress) Delete(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return p.wrap("delete", err)
	}
	defer p.end()
	err := p.holds()
	if err == nil {
		err = p.remove(ctx)
	}
	return p.wrap("delete", err)
}

func (p *Progress) remove(ctx context.Context) error {
	var failed failures
	for !failed.enough() {
		err := p.compareAndDelete(ctx)
		if err != nil {
			failed.add(err)
			_, err = p.reread(ctx)
		} else {
			err = ErrNotFound
		}
		if errors.Is(err, ErrNotFound) {
			p.state = removed
			return nil
		}
		if err != nil {
			return failed.then(err)
		}
	}
	return failed.last
}

// compareAndDelete deletes the key at our revision.
func (p *Progress) compareAndDelete(ctx context.Context) error {
	if d, ok := p.store.(CompareAndDeleter); ok {
		if err := d.CompareAndDelete(ctx, p.key, p.Revision()); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	p.number++
	cleared := envelope{claim: p.claim, number: p.number}
	rev, err := p.store.CompareAndSave(ctx, p.key, cleared.encode(), p.Revision())
	if err != nil {
		return err
	}
	p.rev.Store(uint64(rev))
	return p.store.Delete(ctx, p.key)
}

// Settled implements occamy.SettleObserver: it removes the progress of a
// request that was acked, be it of an earlier attempt when this one never ran,
// and tries until ctx ends. What it cannot remove expires by age.
func (p *Progress) Settled(ctx context.Context, s occamy.Settlement) {
	if s != occamy.Acked || p.begin(ctx) != nil {
		return
	}
	defer p.end()
	pause := 50 * time.Millisecond
	for p.discard(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, 2*time.Second)
		}
	}
}

// discard removes what is there. It returns an error where it is worth another
// try.
func (p *Progress) discard(ctx context.Context) error {
	var err error
	switch p.state {
	case unclaimed:
		var rev Revision
		if _, rev, err = p.look(ctx); err != nil || rev == 0 {
			break
		}
		if _, err = p.takeOver(ctx); err != nil {
			break
		}
		fallthrough
	case claimed:
		err = p.remove(ctx)
	}
	if final(err) {
		return nil
	}
	return err
}

// Revision is that of the last write of this attempt that is known to have been
// taken: a fencing token, which is larger than any that an earlier attempt has
// had, and grows with each write. Zero before Claim. It does not block.
func (p *Progress) Revision() Revision { return Revision(p.rev.Load()) }

// begin waits for the turn, which end gives back.
func (p *Progress) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-p.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Progress) end() { p.turn <- struct{}{} }

func (p *Progress) holds() error {
	switch p.state {
	case claimed:
		return nil
	case superseded:
		return ErrSuperseded
	}
	return ErrNotClaimed
}

// look returns what is stored; nothing, of nobody and at revision 0, when there
// is none.
func (p *Progress) look(ctx context.Context) (envelope, Revision, error) {
	found, err := p.store.Load(ctx, p.key)
	if errors.Is(err, ErrNotFound) {
		return envelope{}, 0, nil
	}
	if err != nil {
		return envelope{}, 0, err
	}
	e, err := decode(found.Value)
	return e, found.Revision, err
}

// reread looks what is stored after a write of ours has failed. When it is not
// ours any more, no write of ours will ever be taken.
func (p *Progress) reread(ctx context.Context) (envelope, error) {
	e, rev, err := p.look(ctx)
	switch {
	case err != nil:
		return e, err
	case rev == 0:
		p.state = superseded
		return e, fmt.Errorf("%w: %w", ErrSuperseded, ErrNotFound)
	case e.claim != p.claim:
		p.state = superseded
		return e, ErrSuperseded
	}
	p.rev.Store(uint64(rev))
	return e, nil
}

// failures are those of one write, which is tried again at what is stored then.
type failures struct {
	last    error
	unclear int // those after which it is open whether the write was taken
}

func (f *failures) add(err error) {
	f.last = err
	if !errors.Is(err, ErrConflict) {
		f.unclear++
	}
}

// enough reports whether to try again is of no use.
func (f *failures) enough() bool { return f.unclear >= mostUnclear || final(f.last) }

// then returns why there is no other try.
func (f *failures) then(err error) error {
	if f.last == nil || errors.Is(err, ErrSuperseded) {
		return err
	}
	return fmt.Errorf("%w; then %w", f.last, err)
}

// final reports whether the same call would fail again.
func final(err error) bool {
	for _, f := range []error{ErrTooLarge, ErrInvalidKey, ErrFormat, ErrSuperseded} {
		if errors.Is(err, f) {
			return true
		}
	}
	return false
}

func (p *Progress) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s progress of %q: %w", op, p.key, err)
}
