package nats

import (
	"math/rand/v2"
	"time"
)

// An outage is the time without a connection. Only the goroutine of the NATS
// client that reconnects uses it.
type outage struct{ began time.Time }

// wait is how long the NATS client waits, having tried each server of its list
// that many times.
func (o *outage) wait(rounds int) time.Duration {
	if rounds <= 1 {
		o.began = time.Now()
	}
	return reconnectWait(time.Since(o.began), rand.Float64())
}

const (
	leastWait = 50 * time.Millisecond
	mostWait  = 10 * time.Second
)

// reconnectWait is the wait before the next try: an eighth of the time that the
// connection has been down, so that an outage goes on for no more than an eighth
// of its length once its cause is gone; at most 10 s, and less by up to a half
// at random, so that servers do not come back in step. There is no last try.
func reconnectWait(down time.Duration, random float64) time.Duration {
	d := min(max(down/8, leastWait), mostWait)
	return d - time.Duration(random*float64(d/2))
}
