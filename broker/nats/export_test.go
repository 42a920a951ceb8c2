package nats

// Crash ends the connection as the death of the process would: nothing is given
// back.
func (b *Broker) Crash() { b.nc.Close() }
