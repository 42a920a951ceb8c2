package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/occamy-go/occamy/chaos/record"
)

// fleet runs the server processes and replaces each that ends, as Kubernetes
// would.
type fleet struct {
	log    *record.Log
	orders []serverOrder
	dir    string

	mu      sync.Mutex
	current []*child
	closing bool
	err     error // of a replacement
	keepers sync.WaitGroup
}

func serverName(i int) string { return fmt.Sprintf("s%d", i+1) }

// replaceAfter is how long a place stays empty.
const replaceAfter = 200 * time.Millisecond

func startFleet(log *record.Log, orders []serverOrder, dir string) (*fleet, error) {
	f := &fleet{log: log, orders: orders, dir: dir, current: make([]*child, len(orders))}
	for i := range orders {
		first, err := f.start(i)
		if err != nil {
			f.close()
			return nil, err
		}
		f.keepers.Go(func() { f.keep(i, first) })
	}
	return f, nil
}

// start starts server i, unless the fleet is closing: nil then.
func (f *fleet) start(i int) (*child, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return nil, nil
	}
	o := f.orders[i]
	c, err := startChild(childOrder{Server: &o}, filepath.Join(f.dir, o.Name+".out"))
	if err != nil {
		return nil, err
	}
	f.current[i] = c
	f.log.Write(record.Event{What: record.Started, Server: o.Name, PID: c.pid()})
	return c, nil
}

// keep replaces server i whenever it ends.
func (f *fleet) keep(i int, c *child) {
	for c != nil {
		<-c.ended
		f.log.Write(record.Event{What: record.Died, Server: f.orders[i].Name, PID: c.pid(), Error: text(c.err)})
		time.Sleep(replaceAfter)
		var err error
		if c, err = f.start(i); err != nil {
			f.mu.Lock()
			f.err = errors.Join(f.err, err)
			f.mu.Unlock()
			return
		}
	}
}

func (f *fleet) server(i int) *child {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current[i]
}

// close ends all servers, in order where they still can.
func (f *fleet) close() {
	f.mu.Lock()
	if !f.closing {
		f.closing = true
		f.log.Write(record.Event{What: record.Closing})
	}
	f.mu.Unlock()
	var ending sync.WaitGroup
	for _, c := range f.current {
		if c != nil {
			ending.Go(func() {
				_ = c.signal(syscall.SIGCONT)
				_ = c.stop(10 * time.Second) // what it leaves unsettled is the auditor's
			})
		}
	}
	ending.Wait()
	f.keepers.Wait()
}
