package nats

import (
	"context"
	"math/rand/v2"
)

// What one server held when it crashed is delivered again at the same moment,
// when the leases end. Should one of these requests be what crashes servers,
// the others meet it again and again, until all have reached MaxDeliver. So
// whoever was there twice waits for a while of its own before it is tried again.

// suspect says whether a request is to wait: it was in two crashes or more, and
// has not waited since the last.
func (m *message) suspect() bool {
	return m.crashes >= 2 && m.crashes > count(m.raw.Header, hdrCrashes)
}

// setApart has the request wait, for up to a lease.
func (m *message) setApart(ctx context.Context) error {
	m.attempt-- // this delivery reaches nobody
	return m.RequeueAfter(ctx, rand.N(m.ackWait)+1)
}
