package rabbitmq

import (
	"slices"
	"sync"
)

// acks are the acks of a channel that are to be sent. All that lie below the
// lowest delivery that is out are sent as one.
type acks struct {
	due     chan struct{} // holds one token when there is something to send
	sending sync.Mutex    // held while acks are sent, so that they keep their order

	// Guarded by session.mu.
	seen    uint64   // all deliveries up to this tag have come
	early   []uint64 // tags above it that have come too
	waiting []uint64
	spare   []uint64 // as large as waiting was, to be used again
}

func (a *acks) wake() {
	select {
	case a.due <- struct{}{}:
	default:
	}
}

// saw takes note of a delivery.
func (a *acks) saw(tag uint64) {
	if tag != a.seen+1 {
		a.early = append(a.early, tag)
		return
	}
	a.seen = tag
	for len(a.early) > 0 {
		i := slices.Index(a.early, a.seen+1)
		if i < 0 {
			return
		}
		a.early = slices.Delete(a.early, i, i+1)
		a.seen++
	}
}

func (a *acks) add(tag uint64) {
	a.waiting = append(a.waiting, tag)
	a.wake()
}

// take removes what waits. upTo acks all deliveries up to that one, none of
// which is out; 0 for none. single are the others; they are valid until the
// next call.
func (a *acks) take(lowestOut uint64) (single []uint64, upTo uint64) {
	all := a.waiting
	a.waiting, a.spare = a.spare[:0], all
	single = all[:0]
	for _, tag := range all {
		if tag < lowestOut {
			upTo = max(upTo, tag)
		} else {
			single = append(single, tag)
		}
	}
	return single, upTo
}
