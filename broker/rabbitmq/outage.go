package rabbitmq

import "sync"

// outage makes one loss and one return of those of both connections.
type outage struct {
	tell func(error)

	mu   sync.Mutex // held while telling, so that a return never comes before its loss
	down map[*link]bool
}

func (o *outage) lost(l *link, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down == nil {
		o.down = make(map[*link]bool)
	}
	first := len(o.down) == 0
	o.down[l] = true
	if first {
		o.tell(err)
	}
}

func (o *outage) back(l *link) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.down[l] {
		return
	}
	delete(o.down, l)
	if len(o.down) == 0 {
		o.tell(nil)
	}
}
