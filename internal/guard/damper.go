package guard

import (
	"net/netip"
	"sync"
	"time"
)

const (
	tries     = 10              // wrong tokens of an address in a row
	tryAgain  = 6 * time.Second // for each that follows
	addresses = 4096            // that are remembered
)

// damper slows down whoever guesses tokens. While an address has no tries left,
// what it shows is not looked at. Its zero value is ready.
type damper struct {
	mu   sync.Mutex
	used map[netip.Prefix]time.Time // when all tries will be there again; guarded by mu
}

// try returns what right does, or how long to wait if there is no try left. A
// right one costs nothing.
func (d *damper) try(from netip.Prefix, right func() bool) (ok bool, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	full := d.used[from]
	if full.Before(now) {
		full = now
	}
	if wait = full.Sub(now) - (tries-1)*tryAgain; wait > 0 {
		return false, wait
	}
	if right() {
		return true, 0
	}
	d.remember(from, full.Add(tryAgain), now)
	return false, 0
}

// remember is called with mu held. When there is no room, those go that have all
// tries again, and if those are few, some others.
func (d *damper) remember(from netip.Prefix, full, now time.Time) {
	if d.used == nil {
		d.used = make(map[netip.Prefix]time.Time)
	}
	if _, there := d.used[from]; !there && len(d.used) >= addresses {
		for a, t := range d.used {
			if !t.After(now) || len(d.used) > addresses*7/8 {
				delete(d.used, a)
			}
		}
	}
	d.used[from] = full
}
