package slots

import "time"

// Table is the state machine. It is not safe for use by several goroutines.
type Table struct{ cfg Config }

// New returns a table whose slots are all empty. The config must be valid.
func New(cfg Config) *Table { return &Table{cfg: cfg} }

// Step does one step at the time now, which never goes back, and appends what
// is to be done to effects, in order. It allocates only to grow what it keeps.
func (t *Table) Step(now time.Duration, e Event, effects []Effect) []Effect { return effects }

// Promise takes up to n of the capacity and returns how many it took; 0 while
// draining and after Shutdown.
func (t *Table) Promise(n int) int { return 0 }

// Unpromise gives n promises back.
func (t *Table) Unpromise(n int) {}

// Capacity is how many more request messages there is room for; 0 while
// draining and after Shutdown.
func (t *Table) Capacity() int { return 0 }

// Bearers appends to refs the jobs that bear the ID and are Running or
// Waiting, in the order in which they were made. It costs nothing per slot.
func (t *Table) Bearers(id string, refs []Ref) []Ref { return refs }

// Slot returns the job in a slot; its Status is Empty when there is none.
func (t *Table) Slot(i int) Job { return Job{} }

// Job returns what is known of a job; its Phase is Gone when it is released.
func (t *Table) Job(r Ref) Job { return Job{} }

// Counts are figures derived from the jobs.
type Counts struct {
	Empty      int
	Protected  int // in slots, whatever their phase
	Internal   int
	External   int
	Stopping   int // of those in slots
	Stuck      int
	Converting int
	Waiting    int
	Held       int
	Pending    int
	Backlog    int // with those that are Making
	Promised   int
}

// Counts returns the figures. It costs nothing per slot.
func (t *Table) Counts() Counts { return Counts{} }
