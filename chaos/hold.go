package main

import "github.com/Shopify/toxiproxy/v2/toxics"

// hold is a toxic that lets nothing through while it is there, and loses
// nothing: what is sent waits.
type hold struct{}

// Pipe implements toxics.Toxic.
func (*hold) Pipe(stub *toxics.ToxicStub) { <-stub.Interrupt }

// registerHold makes the toxic known by its name; more than once is no harm.
func registerHold() { toxics.Register("hold", new(hold)) }
