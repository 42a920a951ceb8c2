package fleet

import "time"

// hear takes an announcement.
func (v *View) hear(body []byte) {
	a, err := decode(body)
	if err != nil {
		return // of whoever is no server of this version
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.servers[a.Server]
	fresh := s == nil || a.Epoch != s.epoch || s.State == stateGone
	switch {
	case s == nil && a.Bye:
		return
	case s != nil && (a.Epoch < s.epoch && s.State != stateGone || a.Epoch == s.epoch && a.Seq <= s.seq):
		return // late
	case !a.Bye && (s == nil || len(s.slots) != a.Size) && !v.room(a.Server, a.Size):
		return
	case s == nil:
		s = &server{id: a.Server}
		v.servers[a.Server] = s
	}
	at := v.changed()
	if a.Epoch != s.epoch {
		s.lastN = 0
	}
	s.epoch, s.seq, s.heard = a.Epoch, a.Seq, time.Now()
	if a.Bye {
		v.gone(s, at)
		return
	}
	if fresh {
		v.happened(Event{Time: s.heard.UnixMilli(), Server: s.id, Type: Joined})
		select {
		case v.met <- struct{}{}:
		default:
		}
	}
	if fresh || !s.same(a.info) {
		s.info, s.infoAt = a.info, at
	}
	if len(s.slots) != a.Size {
		s.slots = make([]seen, a.Size)
		for i := range s.slots {
			s.slots[i] = seen{Slot{Slot: i, Status: "empty"}, at}
		}
	}
	for _, slot := range a.Slots {
		if s.slots[slot.Slot].Slot != slot {
			s.slots[slot.Slot] = seen{slot, at}
		}
	}
	for _, e := range a.Events {
		if e.N > s.lastN {
			s.lastN = e.N
			v.happened(e)
		}
	}
}

// gone notes that a server is. What its slots had is not known any more. The
// caller holds the lock.
func (v *View) gone(s *server, at uint64) {
	if s.State == stateGone {
		return
	}
	s.info = info{State: stateGone, Started: s.Started, Kinds: s.Kinds, Size: s.Size}
	s.infoAt = at
	for i := range s.slots {
		if s.slots[i].Status != "empty" {
			s.slots[i] = seen{Slot{Slot: i, Status: "empty"}, at}
		}
	}
	v.happened(Event{Time: time.Now().UnixMilli(), Server: s.id, Type: Gone})
}

// happened keeps an event. The caller holds the lock and has made a version.
func (v *View) happened(e Event) {
	v.n++
	e.N = v.n
	if len(v.events) >= 2*keptEvents {
		v.events = append(v.events[:0], v.events[len(v.events)-keptEvents:]...)
	}
	v.events = append(v.events, happened{e, v.version})
	v.lives.add(e)
}

// sweep finds servers that are gone, and reports whether the view is used.
func (v *View) sweep(now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, s := range v.servers {
		switch silent := now.Sub(s.heard); {
		case s.State != stateGone && silent > goneAfter:
			v.gone(s, v.changed())
		case s.State == stateGone && silent > forgetAfter:
			v.forget(id)
		}
	}
	return now.Sub(v.lastUse) < idleAfter
}

// room reports whether there is room for a server with so many slots, and makes
// it of servers that are gone. The caller holds the lock.
func (v *View) room(id string, slots int) bool {
	for {
		var oldest *server // that is gone
		servers, all := 1, slots
		for _, s := range v.servers {
			if s.id == id {
				continue
			}
			servers++
			all += len(s.slots)
			if s.State == stateGone && (oldest == nil || s.heard.Before(oldest.heard)) {
				oldest = s
			}
		}
		if servers <= maxServers && all <= maxAllSlots {
			return true
		}
		if oldest == nil {
			return false
		}
		v.forget(oldest.id)
	}
}

// forget has a server not be shown any more. The caller holds the lock.
func (v *View) forget(id string) {
	delete(v.servers, id)
	v.removed = append(v.removed, removal{id, v.changed()})
	v.removed = v.removed[max(0, len(v.removed)-maxRemovals):]
}
