package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

const (
	frameEvery = 50 * time.Millisecond
	cellWidth  = 16
)

// screen draws the servers' slots: over and over on a terminal, a line for each
// change elsewhere.
type screen struct {
	app      *app
	demo     *demo
	terminal bool
	start    time.Time
	stop     chan struct{}
	stopped  chan struct{}

	mu     sync.Mutex
	frames []frame // what was seen, for a picture; guarded by mu
	drawn  int     // lines on the terminal that the next frame goes over; guarded by mu
	last   string  // picture; guarded by mu
}

func newScreen(a *app, d *demo) *screen {
	return &screen{
		app: a, demo: d, terminal: isTerminal(a.stderr), start: time.Now(),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// run draws until end is called.
func (s *screen) run() {
	defer close(s.stopped)
	tick := time.NewTicker(frameEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			s.draw()
			return
		case <-tick.C:
			s.draw()
		}
	}
}

func (s *screen) end() {
	close(s.stop)
	<-s.stopped
}

// say prints what happens now.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintf(s.app.stderr, "%6.2fs  %s\n", time.Since(s.start).Seconds(), escape(fmt.Sprintf(format, args...)))
	s.paint(s.picture(s.look()))
}

func (s *screen) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.look()
	picture := s.picture(seen)
	if picture != s.last {
		s.frames = append(s.frames, frame{time.Since(s.start), seen})
	}
	if picture == s.last {
		return
	}
	if s.terminal {
		s.erase()
		s.paint(picture)
		return
	}
	s.last = picture
	fmt.Fprintf(s.app.stderr, "%6.2fs  %s\n", time.Since(s.start).Seconds(), picture)
}

func (s *screen) erase() {
	if s.drawn > 0 {
		fmt.Fprintf(s.app.stderr, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

func (s *screen) paint(picture string) {
	if !s.terminal {
		return
	}
	s.last = picture
	fmt.Fprint(s.app.stderr, picture)
	s.drawn = strings.Count(picture, "\n")
}

// look returns the slots of each server.
func (s *screen) look() [][]occamy.SlotInfo {
	var all [][]occamy.SlotInfo
	for _, server := range s.demo.servers {
		all = append(all, server.Snapshot().Slots)
	}
	return all
}

// picture shows each server as a row of slots: a solid block is a request, a
// shaded one a helper.
func (s *screen) picture(seen [][]occamy.SlotInfo) string {
	var b strings.Builder
	for i, server := range s.demo.servers {
		if s.terminal {
			b.WriteString("  ")
		} else if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString("server " + server.name + " ")
		for _, slot := range seen[i] {
			b.WriteString(s.cell(slot))
		}
		if s.terminal {
			b.WriteString("\n")
		}
	}
	return b.String()
}

func (s *screen) cell(slot occamy.SlotInfo) string {
	request, _ := requestOf(slot.ID)
	mark, text, colour := "·", "", "2"
	switch {
	case slot.Status == occamy.Empty:
	case slot.Phase != occamy.Running:
		mark, text = "×", string(slot.Phase)
	case slot.Status == occamy.Protected:
		mark, text, colour = "█", request, "1;32"
	case slot.Status == occamy.Internal:
		mark, text, colour = "▓", "helps "+request, "36"
	default:
		mark, text, colour = "░", "helps "+request, "35"
	}
	cell := "[" + mark + " " + clip(fmt.Sprintf("%-*s", cellWidth, escape(text)), cellWidth) + "]"
	if s.terminal {
		return "\x1b[" + colour + "m" + cell + "\x1b[0m"
	}
	return cell
}
