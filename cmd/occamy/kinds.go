package main

import (
	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/examples/pricing"
	"github.com/occamy-go/occamy/examples/routing"
)

// newMux returns the kinds that serve knows. A zero config is good for a mux
// that is only looked at.
func newMux(cfg assist.Config) *occamy.Mux {
	mux := new(occamy.Mux)
	mux.Add(pricing.Kind, pricing.NewHandler(cfg))
	mux.Add(routing.Kind, routing.NewHandler(cfg))
	return mux
}
