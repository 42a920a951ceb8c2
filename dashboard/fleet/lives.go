package fleet

import (
	"container/list"
	"slices"
)

const (
	maxLives = 2000 // requests whose lives are kept
	maxLife  = 64   // events of one, the first and the last ones
)

// lives keeps what happened to each request, of those that something happened to
// last.
type lives struct {
	byID  map[string]*list.Element
	order *list.List // of *life, the one that something happened to last in front
}

type life struct {
	id     string
	events []Event
}

func newLives() lives { return lives{make(map[string]*list.Element), list.New()} }

func (l *lives) add(e Event) {
	id := e.Request
	if id == "" {
		id = e.ID
	}
	if id == "" {
		return // of a server
	}
	at := l.byID[id]
	if at == nil {
		if l.order.Len() == maxLives {
			oldest := l.order.Back()
			delete(l.byID, oldest.Value.(*life).id) //nolint:forcetypeassert // it holds nothing else
			l.order.Remove(oldest)
		}
		at = l.order.PushFront(&life{id: id})
		l.byID[id] = at
	}
	l.order.MoveToFront(at)
	is := at.Value.(*life) //nolint:forcetypeassert // it holds nothing else
	if len(is.events) == maxLife {
		is.events = slices.Delete(is.events, maxLife/4, maxLife/4+1) // how it began stays known
	}
	is.events = append(is.events, e)
}

// of returns the life of a request, or of one task that works for it.
func (l *lives) of(id string) []Event {
	if at := l.byID[id]; at != nil {
		return slices.Clone(at.Value.(*life).events) //nolint:forcetypeassert // it holds nothing else
	}
	var events []Event
	for at := l.order.Front(); at != nil; at = at.Next() {
		for _, e := range at.Value.(*life).events { //nolint:forcetypeassert // it holds nothing else
			if e.ID == id {
				events = append(events, e)
			}
		}
		if len(events) > 0 {
			break
		}
	}
	return events
}
