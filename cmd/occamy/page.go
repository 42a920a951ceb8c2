package main

import (
	"context"
	"errors"
	"sync"
	"time"

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
		keepUp(ctx, tell, func() error { return a.of.Run(ctx, server) })
	})
}

// close says good-bye, before the broker is closed.
func (a *announcer) close() {
	a.end()
	a.over.Wait()
}

// listenAgain is how long after a failure to listen it is tried again.
const listenAgain = 5 * time.Second

// keepUp has run begin again after it failed, as when the broker was away just
// then, until ctx ends or the broker is closed.
func keepUp(ctx context.Context, tell func(error), run func() error) {
	for {
		err := run()
		if err == nil || ctx.Err() != nil {
			return
		}
		tell(err)
		if errors.Is(err, broker.ErrClosed) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenAgain):
		}
	}
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
		keepUp(ctx, func(err error) { s.tell(oneLine(err)) }, func() error { return view.Run(ctx) })
	})
	s.mux.Handle("/", dashboard.New(dashboard.Config{Fleet: dashboard.Of(view), Client: client.New(b)}))
}
