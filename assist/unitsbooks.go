package assist

import (
	"fmt"
	"time"

	"github.com/occamy-go/occamy/assist/internal/ledger"
	"github.com/occamy-go/occamy/assist/internal/wire"
)

// unitsBooks are the books of a job that consists of units. Its methods are
// called with the crew's lock held.
type unitsBooks struct {
	*ledger.Ledger
	crew   *crew
	record func(i uint64, result []byte) // notes a result that counts, for the journal
	fail   func(error)                   // ends the job; does not block

	collected uint64    // results that Collect has taken
	failed    bool      // the job has, so nothing is leased any more
	takeover  time.Time // until when assistants of an earlier master may not have reported
}

// lease leases units. At a takeover, assistants that have not reported yet may
// have the first ones.
func (b *unitsBooks) lease(h ledger.Holder, n int, grant uint64) []wire.Unit {
	if !b.takeover.IsZero() && time.Now().Before(b.takeover) {
		return b.LeaseLast(h, n, grant)
	}
	return b.Lease(h, n, grant)
}

// lostGrant is after what time a grant that the assistant has not heard of is
// taken for lost.
const lostGrant = time.Second

// examine implements books.
func (b *unitsBooks) examine(*wire.Report) any { return nil }

// report implements books.
func (b *unitsBooks) report(m *member, r *wire.Report, _ any) (answer bool) {
	heard := r.Heard
	if r.Epoch != b.crew.epoch {
		heard = 0
	}
	for _, res := range r.Results {
		answer = true
		if !res.Failed {
			b.done(res.Index, res.Body)
		} else if err := b.Failed(res.Index, m.Holder, heard, string(res.Body)); err != nil {
			b.fail(err)
		}
	}
	if r.Leaving {
		return false // gone frees what it had
	}
	if r.Seq <= m.reports {
		return answer
	}
	if heard < m.grants && time.Since(m.granted) > lostGrant {
		heard = m.grants
	}
	b.Holds(m.Holder, r.Held, heard, m.grants)
	inFlight := uint64(b.Unheard(m.Holder, heard))
	r.Want -= min(r.Want, inFlight)
	return answer
}

// done notes a result.
func (b *unitsBooks) done(i uint64, result []byte) {
	if b.Result(i, result) {
		b.record(i, result)
	}
}

// grant implements books.
func (b *unitsBooks) grant(g *wire.Grant, m *member) bool {
	if b.failed {
		return false
	}
	n := min(m.want, b.part())
	if n == 0 && b.Has(m.Holder) == 0 {
		n = 1 // it would stand idle
	}
	if n > 0 {
		m.want = n // it asks again when it has less
	}
	if m.small {
		n = min(n, 1)
	}
	g.Units = b.lease(m.Holder, n, g.Seq)
	for size, k := 0, 0; k < len(g.Units); k++ {
		size += len(g.Units[k].Body)
		if k > 0 && size > messageBytes {
			b.Take(m.Holder, g.Units[k:])
			g.Units = g.Units[:k]
		}
	}
	m.want -= len(g.Units)
	if len(g.Units) == 0 && b.allTaken() && b.Has(m.Holder) == 0 {
		g.State, m.end = wire.End, true // what the others have they will finish
		return true
	}
	return len(g.Units) > 0
}

// complete says whether all is computed and collected.
func (b *unitsBooks) complete() bool {
	n, all := b.Units()
	return all && b.collected == n
}

// part is how many units one assistant gets at most: near the end the rest is
// shared out among all, so that none has much while another has nothing.
func (b *unitsBooks) part() int {
	return b.Free() / (2 * (len(b.crew.members) + 1))
}

// undo implements books.
func (b *unitsBooks) undo(g *wire.Grant, m *member) {
	b.Take(m.Holder, g.Units)
	m.want += len(g.Units)
}

// idle implements books.
func (b *unitsBooks) idle() bool { return b.failed || b.Free() == 0 && !b.allTaken() }

// allTaken says that there is no unit left that nobody has.
func (b *unitsBooks) allTaken() bool {
	_, all := b.Units()
	return all && b.Untaken() == 0
}

// gone implements books.
func (b *unitsBooks) gone(m *member, lost bool) {
	if !lost {
		b.Return(m.Holder)
	} else if err := b.Lost(m.Holder); err != nil {
		b.fail(err)
	}
}

// tooLarge implements books.
func (b *unitsBooks) tooLarge(g *wire.Grant, err error) error {
	if len(g.Units) == 1 {
		err = fmt.Errorf("assist: unit %d of %d bytes cannot be sent: make units smaller, or have them say where their data is: %w",
			g.Units[0].Index, len(g.Units[0].Body), err)
	}
	b.fail(err)
	return nil
}

// useful implements books. The master itself is no assistant.
func (b *unitsBooks) useful() int {
	if _, all := b.Units(); !all {
		return b.crew.most
	}
	n := b.Holders() + b.Untaken()
	if b.Has(self) > 0 {
		n--
	}
	return n
}
