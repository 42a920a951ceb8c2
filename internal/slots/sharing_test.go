package slots

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// What rebalancing promises, and why. Let M be the greatest claim/weight of
// those who can give, and m the least (claim+1)/weight of those who can use
// more. A slot moves from an owner at M to one at m, and only while M > m. The
// move leaves the giver with (claim+1)/weight = M and the receiver with
// claim/weight = m, so that M never rises and, while nobody's wishes change, m
// never falls. Therefore
//
//   - who gave never receives: it would need (claim+1)/weight < M;
//   - who received never gives: it would need claim/weight > m;
//   - no slot goes forth and back between two owners, nor around among more;
//   - the moves after a change are as many as the slots that owners have beyond
//     their shares, and no fewer moves could bring them there;
//   - with at most RebalanceMoves a period, balance is reached within as many
//     periods as that many moves take.
//
// Where M ≤ m no slot could move to the good of somebody poorer: the shares are
// max-min fair by weight. Only a change from outside starts anew.

// society is a table with a server that answers at once, and owners that grow
// up to what they can use. It follows every slot that moves.
type society struct {
	*testing.T
	table    *Table
	cfg      Config
	now      time.Duration
	owners   []*citizen // that run
	ofTask   map[Ref]*citizen
	stubborn int           // how many of the tasks that are stopped next do not stop
	due      time.Duration // of the expansion timer; zero when it is not armed
	ends     time.Duration // of the period of the latest move
	inOne    int           // moves in it
	effects  []Effect

	// Since the latest change:
	since    time.Duration
	need     int // slots in the wrong hands then
	limit    int // how many periods that many moves take
	moves    int
	gave     map[*citizen]int
	received map[*citizen]int
}

// citizen is an owner, and the most helpers that it can use.
type citizen struct {
	ref    Ref
	weight int
	wants  int
	shy    bool // declines what it is asked for
}

func newSociety(t *testing.T, cfg Config) *society {
	return &society{T: t, table: New(cfg), cfg: cfg, ofTask: map[Ref]*citizen{}}
}

// changed begins the account anew: something came from outside.
func (s *society) changed() {
	s.moves, s.gave, s.received = 0, map[*citizen]int{}, map[*citizen]int{}
	s.since = s.now
	s.expect()
}

// expect works out how many moves and periods it takes at most from here.
func (s *society) expect() {
	s.need = s.moves + s.surplus()
	s.limit = (s.need + s.cfg.RebalanceMoves - 1) / s.cfg.RebalanceMoves
	if s.table.declined.head != none {
		s.limit++ // who declined is asked again in the next period
	}
}

// claim counts the helpers that the citizen has in slots or that are about to
// get one, and the stuck ones among them.
func (s *society) claim(c *citizen) (n, stuck int) {
	for r, o := range s.ofTask {
		switch p := s.table.Job(r).Phase; {
		case o != c:
		case p == Running || p == Pending:
			n++
		case p == Stuck:
			n, stuck = n+1, stuck+1
		}
	}
	return n, stuck
}

// step has the table take an event, and does as a server and its tasks would.
func (s *society) step(e Event) {
	events := []Event{e}
	for len(events) > 0 {
		e, events = events[0], events[1:]
		s.effects = s.table.Step(s.now, e, s.effects[:0])
		if err := s.table.Check(); err != nil {
			s.Fatal(err)
		}
		for k, f := range s.effects {
			switch f.Type {
			case Ask:
				events = append(events, s.answer(f))
			case Stop:
				if f.Why == Preempted && e.Type == Offered {
					s.moved(f, s.effects[k+1:])
				}
				if s.stubborn > 0 {
					s.stubborn--
					events = append(events, Event{Type: StopTimedOut, Job: f.Job})
				} else {
					events = append(events, Event{Type: Finish, Job: f.Job, Result: Failed})
				}
			case ArmExpansion:
				s.due = f.At
			case Start, Place:
				if s.table.Job(f.Job).Status == Internal {
					s.ofTask[f.Job] = s.citizen(s.table.Job(f.Job).Owner)
				} else {
					s.changed()
				}
			case Release:
				delete(s.ofTask, f.Job)
			}
		}
		if e.Type == StopTimedOut {
			s.changed()
		}
	}
}

func (s *society) citizen(r Ref) *citizen {
	for _, c := range s.owners {
		if c.ref == r {
			return c
		}
	}
	return nil
}

// answer is what an owner offers when it is asked.
func (s *society) answer(f Effect) Event {
	c := s.citizen(f.Job)
	have, _ := s.claim(c)
	n := min(f.N, c.wants-have)
	if c.shy {
		n = 0
	}
	return Event{Type: Offered, Job: f.Job, Offers: make([]Task, max(n, 0))}
}

// moved takes the account of a slot that changes hands.
func (s *society) moved(stop Effect, rest []Effect) {
	from := s.ofTask[stop.Job]
	i := slices.IndexFunc(rest, func(f Effect) bool { return f.Type == Place })
	to := s.citizen(s.table.Job(rest[i].Job).Owner)
	s.ofTask[rest[i].Job] = to
	s.moves++
	s.gave[from]++
	s.received[to]++
	if s.gave[to] > 0 || s.received[from] > 0 {
		s.Fatalf("an owner both gives and receives: %+v to %+v", *from, *to)
	}
	if s.ends != s.table.end {
		s.ends, s.inOne = s.table.end, 0
	}
	if s.inOne++; s.inOne > s.cfg.RebalanceMoves {
		s.Fatalf("%d moves in a period, at most %d", s.inOne, s.cfg.RebalanceMoves)
	}
}

// fair reports whether no slot could move to the good of somebody poorer.
func (s *society) fair() bool {
	for _, d := range s.owners {
		has, stuck := s.claim(d)
		if has == stuck {
			continue // it has none to give
		}
		for _, r := range s.owners {
			if n, _ := s.claim(r); n < r.wants && !r.shy && has*r.weight > (n+1)*d.weight {
				return false
			}
		}
	}
	return true
}

// surplus is how many slots owners have beyond their shares, which are those
// that slots handed out one by one, each to the poorest who can use it, give.
// Stuck helpers stay where they are.
func (s *society) surplus() int {
	n := len(s.owners)
	have, share, least := make([]int, n), make([]int, n), make([]int, n)
	slots := 0
	for i, c := range s.owners {
		have[i], least[i] = s.claim(c)
		share[i] = least[i]
		slots += have[i] - least[i]
	}
	for range slots {
		best := -1
		for i, c := range s.owners {
			// Whom nobody may take from or give to keeps what it has.
			if limit := max(c.wants, have[i]); c.shy && share[i] >= have[i] || share[i] >= limit {
				continue
			}
			b := best
			if b >= 0 {
				l, r := (share[i]+1)*s.owners[b].weight, (share[b]+1)*c.weight
				// Of two that are as poor, the one who has it keeps it.
				if l > r || l == r && (share[i] >= have[i] || share[b] < have[b]) {
					continue
				}
			}
			best = i
		}
		if best < 0 {
			break
		}
		share[best]++
	}
	moves := 0
	for i := range s.owners {
		moves += max(have[i]-share[i], 0)
	}
	return moves
}

// balance lets time pass until the shares are fair, and returns how many moves
// and periods it took.
func (s *society) balance() (moves, periods int) {
	s.expect()
	for !s.fair() {
		if s.due == 0 || s.due > s.since+time.Duration(s.limit)*s.cfg.ExpansionPeriod {
			s.Fatalf("not fair after %d of %d moves in %d periods: %s", s.moves, s.need, s.limit, s)
		}
		s.fire()
	}
	if s.moves > s.need || s.surplus() > 0 {
		s.Fatalf("%d moves, but %d slots were in the wrong hands, and %d are: %s", s.moves, s.need, s.surplus(), s)
	}
	moves, periods = s.moves, int((s.now-s.since+s.cfg.ExpansionPeriod-1)/s.cfg.ExpansionPeriod)
	for range 4 {
		if s.due != 0 {
			s.fire()
		}
	}
	if s.moves > moves {
		s.Fatalf("%d moves though the shares were fair: %s", s.moves-moves, s)
	}
	return moves, periods
}

// fire has the expansion timer fire.
func (s *society) fire() {
	s.now, s.due = max(s.now, s.due), 0
	s.step(Event{Type: ExpansionDue})
}

func (s *society) String() string {
	text := ""
	for _, c := range s.owners {
		n, stuck := s.claim(c)
		text += fmt.Sprintf("%d (%d stuck) of %d, weight %d; ", n, stuck, c.wants, c.weight)
	}
	return text
}

// request has a request arrive, which is an owner when it can use helpers.
func (s *society) request(c *citizen) {
	s.step(Event{Type: Arrive})
	c.ref = s.effects[0].Job
	if c.wants > 0 {
		s.owners = append(s.owners, c)
	}
	s.step(Event{Type: Converted, Job: c.ref, Task: Task{Priority: c.weight, Expandable: c.wants > 0}})
}

func (s *society) end(c *citizen) {
	s.owners = slices.DeleteFunc(s.owners, func(o *citizen) bool { return o == c })
	s.step(Event{Type: Finish, Job: c.ref})
}

// TestR14_SharesComeBackToBalanceWithTheFewestMoves has random owners come, go,
// decline, and lose slots to requests and to helpers that do not stop; after
// each change it counts the moves.
func TestR14_SharesComeBackToBalanceWithTheFewestMoves(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 60
	}
	changes, all, most, longest := 0, 0, 0, 0
	for seed := range uint64(rounds) {
		rnd := rand.New(rand.NewPCG(seed, 15))
		slots := 4 + rnd.IntN(40)
		s := newSociety(t, Config{
			Slots: slots, Headroom: rnd.IntN(3), RebalanceMoves: 1 + rnd.IntN(6),
			ExpansionPeriod: time.Second, RefillDelay: 10 * time.Millisecond,
		})
		var plain []*citizen
		for range 30 {
			s.now += time.Duration(rnd.IntN(3000)) * time.Millisecond
			for s.due != 0 && s.due <= s.now {
				s.fire()
			}
			s.changed()
			room := s.table.Capacity() > 1
			some := len(s.owners) > 0
			switch k := rnd.IntN(8); {
			case k < 3 && room:
				s.request(&citizen{weight: 1 + rnd.IntN(4), wants: 1 + rnd.IntN(2*slots)})
			case k == 3 && room:
				plain = append(plain, &citizen{})
				s.request(plain[len(plain)-1])
			case k == 4 && len(plain) > 0:
				s.end(plain[0])
				plain = plain[1:]
			case k == 5 && some:
				c := s.owners[rnd.IntN(len(s.owners))]
				c.shy = !c.shy // it is asked in the next period
			case k == 6 && room:
				s.stubborn = 1
				s.request(&citizen{weight: 1 + rnd.IntN(4), wants: 1 + rnd.IntN(slots)})
				s.stubborn = 0
			case some:
				s.end(s.owners[rnd.IntN(len(s.owners))])
			}
			s.step(Event{Type: RefillDue})
			moves, periods := s.balance()
			changes, all = changes+1, all+moves
			most, longest = max(most, moves), max(longest, periods)
		}
	}
	t.Logf("%d changes, %d moves, at most %d after one change, which took at most %d periods", changes, all, most, longest)
}
