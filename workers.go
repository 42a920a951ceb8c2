package occamy

import (
	"sync"
	"time"
)

// workers are the goroutines of a server. One that is done waits a while for
// more work: its stack has grown to what a request needs, and growing another
// costs more than all else that the server does for a request. Those that
// nobody needed for workerIdle end, so an idle server has none.
type workers struct {
	mu     sync.Mutex
	idle   *worker // the last to be done is the first to work again; guarded by mu
	n      int     // of idle; guarded by mu
	unused int     // the least n since the last look; guarded by mu
	closed bool    // guarded by mu
	timer  *time.Timer
	armed  bool // guarded by mu
}

const (
	workerIdle = time.Second
	maxIdle    = 256
)

type worker struct {
	next *worker
	work chan work
}

// stage is a part of a job's life. It returns the work that is next in its
// goroutine, rather than call it, so that stages share the room on the stack.
type stage func(*job) work

// work is a stage of a job; zero for none.
type work struct {
	job *job
	do  stage
}

// performAside performs a job's stages in a goroutine that is about to end.
func (j *job) performAside(do stage) {
	now := work{j, do}
	for now.job == j {
		now = now.do(j)
	}
	if now.job != nil {
		j.server.launch(now.job, now.do)
	}
}

// launch runs do in a goroutine.
func (s *Server) launch(j *job, do stage) {
	w := &s.workers
	w.mu.Lock()
	k := w.idle
	if k == nil {
		w.mu.Unlock()
		k = &worker{work: make(chan work, 1)}
		go w.run(k, work{j, do})
		return
	}
	w.idle = k.next
	w.n--
	w.unused = min(w.unused, w.n)
	w.mu.Unlock()
	k.work <- work{j, do}
}

// run works until it is told to end. A task that ends its goroutine ends only
// this one.
func (w *workers) run(k *worker, now work) {
	for now.job != nil {
		for now.job != nil {
			now = now.do(now.job)
		}
		if !w.rest(k) {
			return
		}
		now = <-k.work
	}
}

func (w *workers) rest(k *worker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.n >= maxIdle {
		return false
	}
	k.next = w.idle
	w.idle = k
	w.n++
	if !w.armed {
		w.armed, w.unused = true, 0
		if w.timer == nil {
			w.timer = time.AfterFunc(workerIdle, w.look)
		} else {
			w.timer.Reset(workerIdle)
		}
	}
	return true
}

// look ends the workers that nobody needed since the last look.
func (w *workers) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range w.unused {
		w.dismiss()
	}
	w.unused = w.n
	w.armed = w.n > 0
	if w.armed {
		w.timer.Reset(workerIdle)
	}
}

// dismiss ends one idle worker. The caller holds the lock.
func (w *workers) dismiss() {
	k := w.idle
	w.idle, k.next = k.next, nil
	w.n--
	k.work <- work{}
}

func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.idle != nil {
		w.dismiss()
	}
	w.unused = 0
	if w.timer != nil {
		w.timer.Stop()
	}
}
