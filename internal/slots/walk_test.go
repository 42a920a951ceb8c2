package slots

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The walk visits every state that the table can come to within the bounds of
// a model: from each state, each move that the model has for it is made on a
// copy of the real table, and a state is new when its canonical form is (see
// canon_test.go; of each form 64 bits of hash are kept). Times do not matter in
// it but as flags, which may be raised at any moment, so that timers fire in
// any order. A witness checks each step, and a copy of each state is brought to
// rest.

func TestWalk(t *testing.T) {
	all := walks
	if smallWalk || testing.Short() {
		all = walks[:1]
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			w := newWalk(m)
			began := time.Now()
			if err := w.run(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d slots, at most %d requests and %d optional requests at a time, %d priorities, %s",
				m.cfg.Slots, m.requests, m.optionals, m.priorities, m.with)
			t.Logf("%d states, %d transitions, at most %d steps from the start, in %.1f s",
				len(w.nodes), w.transitions, w.depth, time.Since(began).Seconds())
		})
	}
}

// TestCanon holds that two tables of one canonical form go on alike: what may
// come next of them has the same forms, too.
func TestCanon(t *testing.T) {
	cfg := Config{
		Slots: 2, ExpansionPeriod: time.Second, RebalanceMoves: 1, MaxBacklog: 1, MaxBacklogBytes: 9,
	}
	memory, refill := cfg, cfg
	memory.CancelMemory, memory.MaxCancelled = time.Minute, 1
	refill.RefillDelay = time.Millisecond
	adaptive := cfg
	adaptive.MaxHeadroom, adaptive.HeadroomMemory = 1, time.Minute
	for _, m := range []model{
		{requests: 2, priorities: 1, with: "late lost limits stuck help drain shutdown", cfg: refill},
		{requests: 2, optionals: 1, priorities: 1, with: "cancel stuck help spread", cfg: memory},
		{requests: 1, optionals: 2, priorities: 2, with: "stuck help spread", cfg: cfg},
		{requests: 2, priorities: 1, with: "stuck help silent again", cfg: adaptive},
	} {
		sameForms(t, m)
		if canonOptionals == 0 {
			break
		}
	}
}

// sameForms walks a model, and looks at what may come next of each state
// whenever it comes to it.
func sameForms(t *testing.T, m model) {
	w := newWalk(m)
	o := w.newWalker()
	after := map[uint64]uint64{}
	state := &walkState{}
	for n := 0; n < len(w.nodes); n++ {
		parent := o.goTo(int32(n))
		for _, v := range w.model.moves(&parent.table, nil) {
			parent.copyInto(state)
			if err := state.do(v); err != nil {
				t.Fatal(err)
			}
			form := state.table.canon(nil)
			h, next := maphash.Bytes(w.seed, form), o.successors(state, form)
			switch known, ok := after[h]; {
			case !ok:
				after[h] = next
				w.nodes = append(w.nodes, walkNode{int32(n), v})
			case known != next:
				t.Fatalf("tables of one form go on in two ways\n%s\nthen %s\n%+v", o.story(), parent.describe(v), state.table.jobs)
			}
		}
	}
	t.Logf("%d states", len(after))
}

// successors is a hash of the set of forms that may come next of a state, but
// for its own.
func (o *walker) successors(s *walkState, form []byte) uint64 {
	all := uint64(0)
	seen := []uint64{maphash.Bytes(o.walk.seed, form)}
	for _, v := range o.walk.model.moves(&s.table, nil) {
		s.copyInto(&o.next)
		if err := o.next.do(v); err != nil {
			panic(err)
		}
		o.form = o.next.table.canon(o.form[:0])
		if h := maphash.Bytes(o.walk.seed, o.form); !slices.Contains(seen, h) {
			seen = append(seen, h)
			all += h
		}
	}
	return all
}

// walkNode is a state by how it was first come to.
type walkNode struct {
	parent int32
	move   walkMove
}

type walk struct {
	model       model
	nodes       []walkNode
	depth       int
	transitions int
	seed        maphash.Seed
	seen        [64]struct {
		sync.Mutex
		forms map[uint64]struct{}
	}
}

func newWalk(m model) *walk {
	m.words = map[string]bool{}
	for word := range strings.FieldsSeq(m.with) {
		m.words[word] = true
	}
	w := &walk{model: m, seed: maphash.MakeSeed(), nodes: []walkNode{{parent: -1}}}
	for i := range w.seen {
		w.seen[i].forms = map[uint64]struct{}{}
	}
	return w
}

// isNew reports whether a state is seen for the first time, and notes it.
func (w *walk) isNew(form []byte) bool {
	h := maphash.Bytes(w.seed, form)
	s := &w.seen[h%uint64(len(w.seen))]
	s.Lock()
	defer s.Unlock()
	if _, ok := s.forms[h]; ok {
		return false
	}
	s.forms[h] = struct{}{}
	return true
}

// run goes level by level, with two walkers for each.
func (w *walk) run() error {
	const walkers = 2
	first := w.newWalker()
	w.isNew(first.path[0].table.canon(nil))
	others := []*walker{first, w.newWalker()}
	for from := 0; from < len(w.nodes); {
		to := len(w.nodes)
		const chunk = 64
		var next sync.Mutex
		at := from
		var all sync.WaitGroup
		for k := range walkers {
			all.Go(func() {
				o := others[k]
				o.found = o.found[:0]
				for {
					next.Lock()
					begin := at
					at += chunk
					next.Unlock()
					for n := begin; n < min(begin+chunk, to); n++ {
						if o.err = o.expand(int32(n)); o.err != nil {
							return
						}
					}
					if begin >= to {
						return
					}
				}
			})
		}
		all.Wait()
		for _, o := range others {
			if o.err != nil {
				return o.err
			}
			w.nodes = append(w.nodes, o.found...)
			w.transitions += o.transitions
			o.transitions = 0
		}
		from = to
		if len(w.nodes) > to {
			w.depth++
		}
	}
	return nil
}

// walker expands states. It keeps the states on the way to the latest one.
type walker struct {
	walk        *walk
	way         []int32 // nodes, from the first
	path        []*walkState
	next, rest  walkState
	moves       []walkMove
	form        []byte
	found       []walkNode
	transitions int
	err         error
}

func (w *walk) newWalker() *walker {
	s := &walkState{table: *New(w.model.cfg), witness: newWitness(w.model.cfg)}
	return &walker{walk: w, way: []int32{0}, path: []*walkState{s}}
}

// goTo brings the walker to a node and returns its state.
func (o *walker) goTo(n int32) *walkState {
	var ahead []int32
	for ; ; n = o.walk.nodes[n].parent {
		d := 0
		for d < len(o.way) && o.way[d] != n {
			d++
		}
		if d < len(o.way) {
			o.way = o.way[:d+1]
			break
		}
		ahead = append(ahead, n)
	}
	for i := len(ahead) - 1; i >= 0; i-- {
		d := len(o.way)
		if d == len(o.path) {
			o.path = append(o.path, &walkState{})
		}
		o.path[d-1].copyInto(o.path[d])
		if err := o.path[d].do(o.walk.nodes[ahead[i]].move); err != nil {
			panic("a step that was right is wrong: " + err.Error())
		}
		o.way = append(o.way, ahead[i])
	}
	return o.path[len(o.way)-1]
}

func (o *walker) expand(n int32) error {
	s := o.goTo(n)
	if err := s.table.Check(); err != nil {
		return fmt.Errorf("%w\n%s", err, o.story())
	}
	if err := o.toRest(s); err != nil {
		return fmt.Errorf("on the way to rest: %w\n%s", err, o.story())
	}
	o.moves = o.walk.model.moves(&s.table, o.moves[:0])
	for _, v := range o.moves {
		s.copyInto(&o.next)
		if err := o.next.do(v); err != nil {
			return fmt.Errorf("%w\n%s\nthen %s", err, o.story(), s.describe(v))
		}
		o.transitions++
		o.form = o.next.table.canon(o.form[:0])
		if o.walk.isNew(o.form) {
			o.found = append(o.found, walkNode{n, v})
		}
	}
	return nil
}

// toRest ends whatever runs in a copy of the state, until nothing happens any
// more, and returns what is wrong then.
func (o *walker) toRest(s *walkState) error {
	s.copyInto(&o.rest)
	r := &o.rest
	for range 100 {
		v, ok := r.nextToRest()
		if !ok {
			break
		}
		if err := r.do(v); err != nil {
			return err
		}
	}
	if left := r.witness.jobs; len(left) > 0 || r.table.Counts().Empty != r.table.cfg.Slots {
		return fmt.Errorf("jobs are left: %+v, %+v", left, r.table.Counts())
	}
	return nil
}

func (s *walkState) nextToRest() (walkMove, bool) {
	t := &s.table
	for i := range t.jobs {
		v := walkMove{job: int8(i)}
		switch t.jobs[i].phase {
		case Converting, answered:
			v.event, v.result = Converted, Failed
		case Making:
			v.event = Made
		case Running, Stopping, Stuck:
			v.event = Finish
		default:
			continue
		}
		return v, true
	}
	switch {
	case t.quiet > 0:
		return walkMove{event: RefillDue, job: -1}, true
	case t.draining && len(s.witness.jobs) > 0:
		return walkMove{event: Resume, job: -1}, true
	}
	return walkMove{}, false
}

// story tells the steps to the state where the walker is.
func (o *walker) story() string {
	var lines []string
	for d, n := range o.way[1:] {
		lines = append(lines, o.path[d].describe(o.walk.nodes[n].move))
	}
	return strings.Join(lines, "\n")
}

func (s *walkState) describe(v walkMove) string {
	if v.flag != noFlag {
		return []string{"", "the period is over", "an external job is old", "the refill window is over",
			"the cancelled ID is forgotten", "half of the headroom is forgotten"}[v.flag]
	}
	verb := ""
	for word, e := range events {
		if e == v.event {
			verb = word
		}
	}
	if v.job >= 0 {
		verb += fmt.Sprintf(" job %d", v.job)
	}
	switch v.event {
	case Converted, Optional, Made:
		verb += fmt.Sprintf(" %+v %s", tasks(v.task), resultWords[v.result])
	case Finish:
		verb += " " + resultWords[v.result]
	case Offered:
		verb += fmt.Sprintf(" %d, expandable %t", v.offers, v.task&1 != 0)
	}
	return verb
}
