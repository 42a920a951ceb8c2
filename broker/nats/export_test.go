package nats

import natsgo "github.com/nats-io/nats.go"

// Crash ends the connection as the death of the process would: nothing is given
// back.
func (b *Broker) Crash() { b.nc.Close() }

// Conn is the connection itself.
func (b *Broker) Conn() *natsgo.Conn { return b.nc }
