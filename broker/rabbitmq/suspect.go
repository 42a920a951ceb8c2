package rabbitmq

import (
	"context"
	"math/rand/v2"
	"time"
)

// What one server held when it crashed is delivered again at the same moment.
// Should one of these requests be what crashes servers, the others meet it again
// and again, until all have reached MaxDeliver. So whoever was in two crashes
// waits for a while of its own before it is tried again.

// apartTime is how long a suspect waits at most.
const apartTime = 10 * time.Second

// suspect says whether a request is to wait: it was in two crashes or more, and
// has not waited since the last.
func (m *delivery) suspect() bool {
	return m.crashes >= 2 && m.lostSinceCopied() > 0
}

// setApart has the request wait; this delivery reaches nobody.
func (m *delivery) setApart(ctx context.Context) error {
	return m.replace(ctx, m.copy(m.attempt-1, m.crashes), rand.N(apartTime)+1)
}
