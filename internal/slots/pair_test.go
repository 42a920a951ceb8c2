package slots

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// machine is what the table and the dumb table have in common.
type machine interface {
	Step(now time.Duration, e Event, effects []Effect) []Effect
	Promise(n int) int
	Unpromise(n int)
	Capacity() int
	Bearers(id string, refs []Ref) []Ref
	Slot(i int) Job
	Job(r Ref) Job
	Counts() Counts
	Headroom(now time.Duration) int
}

// pair plays ops to the table and to the dumb table, and compares what they do
// and what they show. Jobs are numbered, from 1, as they come up in effects.
type pair struct {
	cfg     Config
	now     time.Duration
	table   side
	dumb    side
	truth   *dumb          // that of dumb
	named   map[string]int // the latest job of a name
	names   []string       // by number
	ids     map[string]bool
	witness witness

	verbose bool // play returns text
}

// side is one of the two machines, and its Refs by number.
type side struct {
	machine
	refs    []Ref
	numbers map[Ref]int
	effects []Effect
}

func newPair(cfg Config) *pair {
	d := newDumb(cfg)
	p := &pair{
		cfg: cfg, truth: d, named: map[string]int{}, names: []string{"nobody"},
		ids: map[string]bool{},
	}
	p.table = side{machine: New(cfg), refs: []Ref{0}, numbers: map[Ref]int{0: 0}}
	p.dumb = side{machine: d, refs: []Ref{0}, numbers: map[Ref]int{0: 0}}
	p.witness = newWitness(cfg)
	return p
}

// strange is a Ref that no table gave.
const strange = Ref(1<<40 | 3)

// play plays an op, and returns what the table did, as text. The error says
// how the two differ, or which invariant does not hold.
func (p *pair) play(o op) ([]string, error) {
	switch o.verb {
	case "wait":
		p.now += o.wait
		return nil, nil
	case "promise":
		a, b := p.table.Promise(o.n), p.dumb.Promise(o.n)
		return []string{fmt.Sprintf("promised %d", a)}, p.agree("promised", a, b)
	case "unpromise":
		p.table.Unpromise(o.n)
		p.dumb.Unpromise(o.n)
		return nil, p.compare()
	case "capacity", "counts", "headroom", "slots", "bearers", "job":
		return p.show(o), nil
	case "request":
		arrive, converted := o, o
		arrive.verb, arrive.task, converted.verb = "arrive", Task{}, "converted"
		lines, err := p.play(arrive)
		if err != nil || len(lines) == 0 || lines[0] != "convert "+o.name {
			return lines, err
		}
		more, err := p.play(converted)
		return append(lines[1:], more...), err
	}
	e := o.event()
	if e.Task.ID != "" {
		p.ids[e.Task.ID] = true
	}
	number, known := p.named[o.name]
	for _, s := range []*side{&p.dumb, &p.table} {
		e.Job = strange
		if known && number < len(s.refs) {
			e.Job = s.refs[number]
		}
		s.effects = s.Step(p.now, e, s.effects[:0])
	}
	for i, f := range p.table.effects {
		if f.Job != 0 && p.table.numbers[f.Job] == 0 {
			name := o.name
			if f.Type == Start || f.Type == Place {
				if f.Offer < 0 || f.Offer >= len(o.offers) {
					return nil, fmt.Errorf("effect %d: %+v makes a job of no offer", i, f)
				}
				name = o.offers[f.Offer].name
				p.ids[o.offers[f.Offer].task.ID] = true
			}
			p.names = append(p.names, name)
			p.named[name] = p.table.number(f.Job)
		}
	}
	for _, f := range p.dumb.effects {
		p.dumb.number(f.Job)
	}
	var got []string
	same := slices.EqualFunc(p.table.effects, p.dumb.effects, func(a, b Effect) bool {
		return p.table.plainEffect(a) == p.dumb.plainEffect(b)
	})
	if p.verbose || !same {
		got = p.text(&p.table, o)
	}
	if !same {
		return got, fmt.Errorf("effects differ\ntable: %s\ndumb:  %s",
			strings.Join(got, "\n       "), strings.Join(p.text(&p.dumb, o), "\n       "))
	}
	if err := p.compare(); err != nil {
		return got, err
	}
	return got, p.witness.step(p.table.machine, e, p.table.effects)
}

// plainEffect is the effect with a number for its Ref, and without the fields
// that have no meaning for its type.
func (s *side) plainEffect(f Effect) Effect {
	p := Effect{Type: f.Type, Job: Ref(s.numbers[f.Job]), Offer: -1, Why: f.Why}
	switch f.Type {
	case Start:
		p.Slot, p.Offer = f.Slot, f.Offer
	case Place, Drop:
		p.Offer = f.Offer
	case Ask:
		p.N = f.N
	case Settle:
		p.Verdict = f.Verdict
	case ArmExpansion, ArmRefill:
		p.At = f.At
	}
	return p
}

// number is the job's number, a new one when its Ref is new.
func (s *side) number(r Ref) int {
	n, ok := s.numbers[r]
	if !ok {
		n = len(s.refs)
		s.numbers[r] = n
		s.refs = append(s.refs, r)
	}
	return n
}

// compare compares all that the two show of themselves.
func (p *pair) compare() error {
	if err := p.agree("counts", p.table.Counts(), p.dumb.Counts()); err != nil {
		return err
	}
	if err := p.agree("capacity", p.table.Capacity(), p.dumb.Capacity()); err != nil {
		return err
	}
	for _, at := range []time.Duration{p.now, p.now + time.Second, p.now + time.Minute} {
		if err := p.agree("headroom", p.table.Headroom(at), p.dumb.Headroom(at)); err != nil {
			return err
		}
	}
	for i := range p.cfg.Slots {
		what := fmt.Sprintf("slot %d", i)
		a, b := p.table.Slot(i), p.dumb.Slot(i)
		if a.Status == Empty && b.Status == Empty {
			continue
		}
		if err := p.agree(what, p.table.plain(a), p.dumb.plain(b)); err != nil {
			return err
		}
	}
	for n, r := range p.dumb.refs {
		if n == 0 || p.truth.find(r) == nil {
			continue
		}
		a, b := p.table.Job(p.table.refs[n]), p.dumb.Job(r)
		if err := p.agree("job "+p.names[n], p.table.plain(a), p.dumb.plain(b)); err != nil {
			return err
		}
	}
	for _, f := range p.table.effects {
		if a := p.table.Job(f.Job); f.Type == Release && a.Phase != Gone {
			return fmt.Errorf("%s is released and %s", p.names[p.table.numbers[f.Job]], phaseWords[a.Phase])
		}
	}
	for id := range p.ids {
		a, b := p.bearers(&p.table, id), p.bearers(&p.dumb, id)
		if !slices.Equal(a, b) {
			return fmt.Errorf("bearers of %q differ\ntable: %v\ndumb:  %v", id, a, b)
		}
	}
	return nil
}

// plain is the job with numbers for Refs, so that two machines can be compared.
func (s *side) plain(j Job) Job {
	j.Ref, j.Owner = Ref(s.numbers[j.Ref]), Ref(s.numbers[j.Owner])
	return j
}

func (p *pair) agree(what string, a, b any) error {
	if a != b {
		return fmt.Errorf("%s differ\ntable: %+v\ndumb:  %+v", what, a, b)
	}
	return nil
}

func (p *pair) bearers(s *side, id string) []string {
	var names []string
	for _, r := range s.Bearers(id, nil) {
		names = append(names, p.names[s.numbers[r]])
	}
	return names
}

// show answers the verbs that change nothing.
func (p *pair) show(o op) []string {
	switch o.verb {
	case "capacity":
		return []string{fmt.Sprintf("capacity %d", p.table.Capacity())}
	case "counts":
		return []string{strings.Trim(fmt.Sprintf("%+v", p.table.Counts()), "{}")}
	case "headroom":
		return []string{fmt.Sprintf("headroom %d", p.table.Headroom(p.now))}
	case "bearers":
		return []string{strings.Join(append([]string{"bearers:"}, p.bearers(&p.table, o.name)...), " ")}
	case "job":
		j := p.table.Job(p.table.refs[p.named[o.name]])
		return []string{fmt.Sprintf("%s %s %s", o.name, statusWords[j.Status], phaseWords[j.Phase])}
	}
	var lines []string
	for i := range p.cfg.Slots {
		j := p.table.Slot(i)
		if j.Status == Empty {
			lines = append(lines, fmt.Sprintf("%d empty", i))
			continue
		}
		lines = append(lines, fmt.Sprintf("%d %s %s %s", i, p.names[p.table.numbers[j.Ref]],
			statusWords[j.Status], phaseWords[j.Phase]))
	}
	return lines
}

// text is the effects of the side's latest step, as lines.
func (p *pair) text(s *side, o op) []string {
	lines := make([]string, len(s.effects))
	for i, f := range s.effects {
		name := o.name
		if n := s.numbers[f.Job]; n < len(p.names) && f.Job != 0 {
			name = p.names[n]
		} else if f.Type == Drop && f.Offer >= 0 && f.Offer < len(o.offers) {
			name = o.offers[f.Offer].name
		}
		why := whyWords[f.Why]
		switch f.Type {
		case Convert:
			lines[i] = "convert " + name
		case Hold:
			lines[i] = "hold " + name
		case Refuse:
			lines[i] = "refuse " + name + " " + why
		case Start:
			lines[i] = fmt.Sprintf("start %s slot=%d", name, f.Slot)
			if f.Offer >= 0 {
				lines[i] += fmt.Sprintf(" offer=%d", f.Offer)
			}
			lines[i] += " " + statusWords[s.Job(f.Job).Status]
		case Place:
			lines[i] = fmt.Sprintf("place %s offer=%d", name, f.Offer)
		case Stop:
			lines[i] = "stop " + name + " cause=" + why
		case Report:
			lines[i] = "report " + name
		case Settle:
			lines[i] = "settle " + name + " " + verdictWords[f.Verdict] + " " + why
		case Keep:
			lines[i] = "keep " + name
		case Drop:
			lines[i] = "drop " + name + " " + why
		case Make:
			lines[i] = "make " + name
		case Ask:
			lines[i] = fmt.Sprintf("ask %s n=%d", name, f.N)
		case ArmExpansion:
			lines[i] = fmt.Sprintf("arm expansion at=%v", f.At)
		case ArmRefill:
			lines[i] = fmt.Sprintf("arm refill at=%v", f.At)
		case Release:
			lines[i] = "release " + name
		}
	}
	return lines
}
