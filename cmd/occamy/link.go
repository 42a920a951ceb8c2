package main

import (
	"fmt"
	"sync"
)

// link tells people what becomes of the connection of serve to its broker: one
// line when it is lost, one when it is back, and what else goes wrong while it
// is there. A nil link tells nobody.
type link struct {
	name string       // of the broker
	say  func(string) // prints a line

	mu     sync.Mutex
	down   bool
	closed bool
}

func (l *link) lost(err error) {
	if !l.change(true) {
		return
	}
	why := ""
	if err != nil {
		why = ": " + oneLine(err)
	}
	l.say(fmt.Sprintf("lost the connection to %s; trying until it is back%s", l.name, why))
}

func (l *link) back() {
	if l.change(false) {
		l.say("the connection to " + l.name + " is back")
	}
}

// failed tells of an error, unless it is because there is no connection.
func (l *link) failed(err error) {
	if l != nil && l.up() {
		l.say(oneLine(err))
	}
}

// up tells whether there is a connection.
func (l *link) up() bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.down && !l.closed
}

// close has the link say nothing more.
func (l *link) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// change returns whether that was news.
func (l *link) change(down bool) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	news := l.down != down && !l.closed
	l.down = down
	return news
}
