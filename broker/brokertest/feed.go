package brokertest

import (
	"context"
	"fmt"
	"time"

	"github.com/occamy-go/occamy/broker"
)

var feedTests = []test{
	{name: "an announcement reaches all who listen to its topic, in order", run: feedToAll},
	{name: "listening ends with its context", run: feedEnds},
	{name: "listening outlives a cut", needs: Interruption, run: feedOutlivesCut},
	{name: "a topic that is none is refused", run: feedTopics},
}

// feed returns a connection's Feed.
func (f *fixture) feed(b broker.Broker) broker.Feed {
	f.Helper()
	feed, ok := b.(broker.Feed)
	if !ok {
		f.Fatalf("%T is no broker.Feed", b)
	}
	return feed
}

// listen returns what is heard on a topic.
func (f *fixture) listen(ctx context.Context, b broker.Broker, topic string) <-chan string {
	f.Helper()
	heard := make(chan string, 1000)
	f.check("Listen", f.feed(b).Listen(ctx, topic, func(body []byte) { heard <- string(body) }))
	return heard
}

// reach announces until each listener has heard of it: in a cluster it takes a
// while until all of it knows who listens.
func (f *fixture) reach(feed broker.Feed, topic string, listeners ...<-chan string) {
	f.Helper()
	for _, heard := range listeners {
		f.eventually("a listener is reached", func() bool {
			f.check("Announce", feed.Announce(f.within(), topic, []byte(reached)))
			select {
			case <-heard:
				return true
			case <-time.After(20 * time.Millisecond):
				return false
			}
		})
	}
}

// reached is what reach announces.
const reached = "are you there?"

// wantHeard wants that as the next, but for what reach announced.
func (f *fixture) wantHeard(heard <-chan string, want string) {
	f.Helper()
	over := time.After(patience)
	for {
		select {
		case got := <-heard:
			if got == reached {
				continue
			}
			if got != want {
				f.Fatalf("heard %q, want %q", got, want)
			}
			return
		case <-over:
			f.Fatalf("nothing was heard, want %q", want)
		}
	}
}

func feedToAll(f *fixture) {
	other := f.world.Connect(f.TB)
	a, b, self := f.listen(f.ctx, other, "state"), f.listen(f.ctx, other, "state"), f.listen(f.ctx, f.client, "state")
	elsewhere := f.listen(f.ctx, other, "watch")
	feed := f.feed(f.client)
	f.reach(feed, "state", a, b, self)
	f.reach(feed, "watch", elsewhere)
	f.check("Announce to nobody", feed.Announce(f.within(), "nobody", []byte("x")))
	for i := range 50 {
		f.check("Announce", feed.Announce(f.within(), "state", fmt.Append(nil, i)))
	}
	for i := range 50 {
		for _, heard := range []<-chan string{a, b, self} {
			f.wantHeard(heard, fmt.Sprint(i))
		}
	}
	f.check("Announce", feed.Announce(f.within(), "watch", nil))
	f.wantHeard(elsewhere, "")
}

func feedEnds(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	ends, stays := f.listen(ctx, f.client, "state"), f.listen(f.ctx, f.client, "state")
	cancel()
	feed := f.feed(f.world.Connect(f.TB))
	f.reach(feed, "state", stays)
	f.check("Announce", feed.Announce(f.within(), "state", []byte("x")))
	f.wantHeard(stays, "x")
	select {
	case got := <-ends:
		f.Errorf("heard %q after the end", got)
	default:
	}
	conn := f.world.Connect(f.TB)
	f.check("Close", conn.Close())
	f.wantIs("Announce after Close", f.feed(conn).Announce(f.within(), "state", nil), broker.ErrClosed)
	f.wantIs("Listen after Close", f.feed(conn).Listen(f.within(), "state", func([]byte) {}), broker.ErrClosed)
}

func feedOutlivesCut(f *fixture) {
	conn := f.world.Connect(f.TB)
	heard := f.listen(f.ctx, conn, "state")
	feed := f.feed(f.client)
	f.reach(feed, "state", heard)
	f.check("Announce", feed.Announce(f.within(), "state", []byte("before")))
	f.wantHeard(heard, "before")
	f.world.Cut(f.TB, conn)
	f.world.Heal(f.TB, conn)
	f.eventually("what is announced after the cut is heard", func() bool {
		f.check("Announce", feed.Announce(f.within(), "state", []byte("after")))
		select {
		case got := <-heard:
			return got == "after"
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
}

func feedTopics(f *fixture) {
	feed := f.feed(f.client)
	for _, topic := range []string{"", "a.b", "*", ">", "A", "a b", "ä", fmt.Sprintf("%033d", 0)} {
		f.wantIs("Announce", feed.Announce(f.within(), topic, nil), broker.ErrInvalid)
		f.wantIs("Listen", feed.Listen(f.within(), topic, func([]byte) {}), broker.ErrInvalid)
	}
}
