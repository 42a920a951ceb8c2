package main

import (
	"context"
	"sync"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/broker"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/dashboard"
	live "github.com/occamy-go/occamy/dashboard/fleet"
)

// announcer has a server tell whoever watches the fleet what it does. One without
// a feed tells nobody.
type announcer struct {
	of   *live.Announcer // nil: the broker carries no feed
	end  context.CancelFunc
	over sync.WaitGroup
}

func newAnnouncer(b broker.Broker) *announcer {
	a := &announcer{end: func() {}}
	if feed, ok := b.(broker.Feed); ok {
		a.of = live.NewAnnouncer(feed)
	}
	return a
}

// monitors are for the config of the server.
func (a *announcer) monitors() occamy.Monitors {
	if a.of == nil {
		return occamy.Monitors{}
	}
	return a.of.Monitors()
}

// run has the server announce itself until close; tell is told what went wrong.
func (a *announcer) run(server *occamy.Server, tell func(error)) {
	if a.of == nil {
		return
	}
	var ctx context.Context
	ctx, a.end = context.WithCancel(context.Background())
	a.over.Go(func() {
		if err := a.of.Run(ctx, server); err != nil && ctx.Err() == nil {
			tell(err)
		}
	})
}

// close says good-bye, before the broker is closed.
func (a *announcer) close() {
	a.end()
	a.over.Wait()
}

// show has the site show the fleet at b until it is closed.
func (s *site) show(b broker.Broker) {
	if s == nil {
		return
	}
	view, err := live.Of(b)
	if err != nil {
		s.tell(oneLine(err))
		return
	}
	ctx, end := context.WithCancel(context.Background())
	s.endView = end
	s.viewing.Go(func() {
		if err := view.Run(ctx); err != nil && ctx.Err() == nil {
			s.tell(oneLine(err))
		}
	})
	s.mux.Handle("/", dashboard.New(dashboard.Config{Fleet: dashboard.Of(view), Client: client.New(b)}))
}
