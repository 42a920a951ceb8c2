package main

import (
	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/examples/routing"
)

// newMux returns the kinds that serve knows. Their tasks reach each other
// through sender, which may be nil for a mux that is only looked at, and keep
// their progress in a store, which is nil where there is none.
func newMux(sender routing.Sender, _ checkpoint.Store) *occamy.Mux {
	mux := new(occamy.Mux)
	mux.Add(routing.Kind, routing.NewHandler(sender))
	return mux
}
