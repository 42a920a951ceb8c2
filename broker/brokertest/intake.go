package brokertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/occamy-go/occamy"
)

// Intake is an occamy.Intake that records what it is given and leaves the
// settling to the test. It has room for as many requests as the test says.
type Intake struct {
	info     occamy.Info
	requests chan occamy.Message
	controls chan occamy.Message

	mu        sync.Mutex
	room      int // requests that it would still take
	promised  int
	most      int // the most that were promised at a time
	surplus   []string
	paused    bool
	closed    bool
	withdrawn chan struct{}
	changed   chan struct{} // closed and replaced when Acquire should look again
	tasks     map[string]int
	watchers  map[int]occamy.TaskWatcher
	watcher   int
}

// NewIntake returns an intake of a server with that many slots, all empty.
func NewIntake(id string, slots int, keys occamy.HeaderKeys, kinds ...string) *Intake {
	return &Intake{
		info:      occamy.Info{ID: id, Kinds: slices.Sorted(slices.Values(kinds)), Slots: slots, Keys: keys.WithDefaults()},
		requests:  make(chan occamy.Message, 4096),
		controls:  make(chan occamy.Message, 4096),
		room:      slots,
		withdrawn: make(chan struct{}),
		changed:   make(chan struct{}),
		tasks:     make(map[string]int),
		watchers:  make(map[int]occamy.TaskWatcher),
	}
}

// Requests are the request messages, in the order of their arrival.
func (in *Intake) Requests() <-chan occamy.Message { return in.requests }

// Controls are the control messages, in the order of their arrival.
func (in *Intake) Controls() <-chan occamy.Message { return in.controls }

// Free makes room for n more requests.
func (in *Intake) Free(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.room += n
	in.wake()
}

// Withdraw asks for the promises back and gives none until Resume.
func (in *Intake) Withdraw() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.paused = true
	close(in.withdrawn)
	in.withdrawn = make(chan struct{})
	in.wake()
}

// Resume ends what Withdraw began.
func (in *Intake) Resume() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.paused = false
	in.wake()
}

// Shutdown has Acquire return ErrServerClosed from now on.
func (in *Intake) Shutdown() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	close(in.withdrawn)
	in.withdrawn = make(chan struct{})
	in.wake()
}

// wake is called with mu held.
func (in *Intake) wake() {
	close(in.changed)
	in.changed = make(chan struct{})
}

// Promised is how many promises are out, and the most that were.
func (in *Intake) Promised() (now, most int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.promised, in.most
}

// Surplus says how messages came beyond what was promised, and how promises
// were given back that nobody had.
func (in *Intake) Surplus() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.surplus)
}

// Place has the intake run a task that takes control messages, as far as a
// source can tell. Gone ends it.
func (in *Intake) Place(id string) { in.task(id, 1, occamy.TaskWatcher.TaskPlaced) }

// Gone ends a task that Place began.
func (in *Intake) Gone(id string) { in.task(id, -1, occamy.TaskWatcher.TaskGone) }

func (in *Intake) task(id string, change int, tell func(occamy.TaskWatcher, string)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.tasks[id] += change
	for _, w := range in.watchers {
		tell(w, id)
	}
}

// Info implements occamy.Intake.
func (in *Intake) Info() occamy.Info { return in.info }

// HandleRequest implements occamy.Intake.
func (in *Intake) HandleRequest(m occamy.Message) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.promised == 0 {
		in.surplus = append(in.surplus, "a request came without a promise")
	}
	in.room--
	in.requests <- m
}

// HandleControl implements occamy.Intake.
func (in *Intake) HandleControl(m occamy.Message) { in.controls <- m }

// Acquire implements occamy.Intake.
func (in *Intake) Acquire(ctx context.Context, most int) (int, error) {
	for {
		in.mu.Lock()
		n, changed := min(most, in.room-in.promised), in.changed
		switch {
		case in.closed:
			in.mu.Unlock()
			return 0, occamy.ErrServerClosed
		case ctx.Err() != nil:
			in.mu.Unlock()
			return 0, ctx.Err()
		case n > 0 && !in.paused:
			in.promised += n
			in.most = max(in.most, in.promised)
			in.mu.Unlock()
			return n, nil
		}
		in.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// Release implements occamy.Intake.
func (in *Intake) Release(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if n < 0 || n > in.promised {
		in.surplus = append(in.surplus, fmt.Sprintf("%d promises given back while %d were out", n, in.promised))
		n = in.promised
	}
	in.promised -= n
	in.wake()
}

// Withdrawn implements occamy.Intake.
func (in *Intake) Withdrawn() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.withdrawn
}

// WatchTasks implements occamy.Intake.
func (in *Intake) WatchTasks(w occamy.TaskWatcher) (stop func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	key := in.watcher
	in.watcher++
	in.watchers[key] = w
	for id, n := range in.tasks {
		for range n {
			w.TaskPlaced(id)
		}
	}
	return func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		delete(in.watchers, key)
	}
}

// Snapshot implements occamy.Intake.
func (in *Intake) Snapshot() occamy.Snapshot {
	in.mu.Lock()
	defer in.mu.Unlock()
	return occamy.Snapshot{
		Server: in.info.ID, Time: time.Now(), Kinds: in.info.Kinds,
		Slots: make([]occamy.SlotInfo, in.info.Slots), Capacity: max(in.room-in.promised, 0),
	}
}
