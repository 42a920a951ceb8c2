package main

import (
	"fmt"
	"sync"
	"time"
)

// What goes wrong in the background is told by at most backgroundLines lines in
// backgroundPeriod: whoever sends garbage must not fill a disk with its log.
const (
	backgroundLines  = 20
	backgroundPeriod = 10 * time.Second
)

// background tells people what goes wrong behind the scenes, from any
// goroutine, and how much it left out.
type background struct {
	say func(string) // prints a line

	mu    sync.Mutex
	since time.Time // of this period
	said  int       // in it
	left  int       // out, in it
}

func (b *background) tell(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.since) >= backgroundPeriod {
		b.tellLeft()
		b.since, b.said = now, 0
	}
	if b.said == backgroundLines {
		b.left++
		return
	}
	b.said++
	b.say(line)
}

// end tells what was left out last.
func (b *background) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tellLeft()
}

func (b *background) tellLeft() {
	if b.left > 0 {
		b.say(fmt.Sprintf("%d more such lines were left out", b.left))
		b.left = 0
	}
}
