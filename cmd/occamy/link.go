package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/occamy-go/occamy"
)

// aftermath is how long after the connection is back what it cost may still
// come to light.
const aftermath = 5 * time.Second

// link tells people what becomes of the connection of serve to its broker: one
// line when it is lost, one when it is back, and what else goes wrong while it
// is there. It says nothing before open. A nil link tells nobody.
type link struct {
	say        func(string) // prints a line
	background func(string) // prints one of what may be many

	mu   sync.Mutex
	name string // of the broker; "" before open and after close
	down bool
	ends time.Time // of the aftermath
}

func (l *link) open(name string) { l.set(name) }

// close has the link say nothing more.
func (l *link) close() { l.set("") }

func (l *link) set(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name = name
}

// lost is told why there is no connection any more; nil where that is unknown.
func (l *link) lost(err error) {
	name, news := l.change(true)
	switch {
	case !news:
	case err == nil:
		l.say("lost the connection to " + name + "; trying until it is back")
	default:
		l.say("lost the connection to " + name + "; trying until it is back: " + oneLine(err))
	}
}

func (l *link) back() {
	if name, news := l.change(false); news {
		l.say("the connection to " + name + " is back")
	}
}

// failed is told of an error of the broker. That there is no connection is no
// news, nor is a write or read that fails: the loss of the connection follows.
func (l *link) failed(err error) {
	var network *net.OpError
	if l == nil || errors.As(err, &network) || errors.Is(err, io.EOF) ||
		errors.Is(err, natsgo.ErrReconnectBufExceeded) || errors.Is(err, natsgo.ErrConnectionReconnecting) {
		return
	}
	l.mu.Lock()
	tell := l.name != "" && !l.down
	l.mu.Unlock()
	if tell {
		l.background(oneLine(err))
	}
}

// explains tells whether an error of the server is what the loss of the
// connection had to bring: tasks whose requests the broker gave to others, and
// messages that could not be settled.
func (l *link) explains(err error) bool {
	if !errors.Is(err, occamy.ErrDeliveryLost) && !errors.Is(err, occamy.ErrNotSettled) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down || time.Now().Before(l.ends)
}

func (l *link) change(down bool) (name string, news bool) {
	if l == nil {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	news = l.down != down && l.name != ""
	l.down, l.ends = down, time.Now().Add(aftermath)
	return l.name, news
}
