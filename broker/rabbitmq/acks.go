package rabbitmq

import (
	"slices"
	"sync"
	"time"
)

// acks are the acks of a channel that are to be sent. Those that come at the
// same time are sent together, and all that lie below the lowest delivery that
// is out as one.
type acks struct {
	sending  sync.Mutex         // held while acks are written
	commands int                // how many acks were written; guarded by sending
	written  [fewAcks]time.Time // when the last of them were; guarded by sending
	single   []uint64           // room for take; guarded by sending

	// Guarded by session.mu.
	seen    uint64   // all deliveries up to this tag have come
	early   []uint64 // tags above it that have come too
	waiting []*delivery
	spare   []*delivery // as large as waiting was, to be used again
	sender  bool        // a goroutine sends what waits
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

// take removes what waits, for who is sending. upTo acks all deliveries up to
// that one, none of which is out; 0 for none. single are the tags of the others.
// Both lists are valid until the next call.
func (a *acks) take(lowestOut uint64) (all []*delivery, single []uint64, upTo uint64) {
	all = a.waiting
	a.waiting, a.spare = a.spare[:0], all
	single = a.single[:0]
	for _, m := range all {
		if tag := m.raw.DeliveryTag; tag < lowestOut {
			upTo = max(upTo, tag)
		} else {
			single = append(single, tag)
		}
	}
	a.single = single
	return all, single, upTo
}

// fewAcks and ackTime say which acks are so few and old that the broker has
// taken them.
const (
	fewAcks = 16
	ackTime = 5 * time.Second
)

// wrote takes note of one ack on the wire. sending is held.
func (a *acks) wrote() {
	a.written[a.commands%fewAcks] = time.Now()
	a.commands++
}

// fresh says whether the broker may not have taken all acks.
func (a *acks) fresh() bool {
	a.sending.Lock()
	defer a.sending.Unlock()
	return a.commands >= fewAcks && time.Since(a.written[a.commands%fewAcks]) < ackTime
}
