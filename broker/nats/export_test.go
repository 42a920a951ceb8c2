package nats

import "time"

// Crash ends the connection as the death of the process would: nothing is given
// back.
func (b *Broker) Crash() { b.nc.Close() }

// HurryPulls has pulls renewed, and lost ones looked for, all the time. It is
// called before Consume.
func (b *Broker) HurryPulls() {
	b.timing.expires, b.timing.heartbeat = 40*time.Millisecond, 10*time.Millisecond
	b.timing.rotate, b.timing.tick = time.Millisecond, time.Millisecond
}
