package slots

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOracle plays random scripts to the table and to the dumb table.
func TestOracle(t *testing.T) {
	const length = 150
	scripts := randomScripts
	if testing.Short() {
		scripts = 200
	}
	for part := range 2 {
		t.Run(fmt.Sprint("part", part), func(t *testing.T) {
			t.Parallel()
			for seed := range scripts / 2 {
				g := newGenerator(rand.New(rand.NewPCG(uint64(part), uint64(seed))).IntN)
				for range length {
					if err := g.play(); err != nil {
						t.Fatalf("part %d, seed %d: %v", part, seed, explain(g.script))
					}
				}
			}
		})
	}
}

// generator makes up scripts as it plays them. It takes its choices from a
// function that picks a number below n, so that random numbers and the bytes of
// a fuzzer serve alike.
type generator struct {
	pick   func(n int) int
	pair   *pair
	script []op
	fresh  int
	latest []string
}

func newGenerator(pick func(int) int) *generator {
	g := &generator{pick: pick}
	period := time.Second
	if pick(6) == 0 {
		period = -1
	}
	cfg := Config{
		Slots:           1 + pick(6),
		Headroom:        max(0, pick(6)-3),
		MaxHeadroom:     max(0, pick(8)-3),
		HeadroomMemory:  time.Duration(pick(4)) * time.Second,
		RebalanceMoves:  pick(5) - 1,
		ExpansionPeriod: period,
		RefillDelay:     time.Duration(pick(2)) * 10 * time.Millisecond,
		CancelMemory:    time.Duration(pick(3)) * time.Second,
		MaxCancelled:    1 + pick(3),
		MaxBacklog:      pick(5),
		MaxBacklogBytes: 10 + pick(3)*20,
	}
	g.script = []op{{verb: "table", cfg: cfg}}
	g.pair = newPair(cfg)
	return g
}

// play plays one more op.
func (g *generator) play() error {
	o := g.next()
	g.script = append(g.script, o)
	return playSafely(g.pair, o)
}

func playSafely(p *pair, o op) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	_, err = p.play(o)
	return err
}

// mix is how often each verb comes, and the phases of the jobs that it fits.
var mix = []struct {
	verb   string
	weight int
	fits   []Phase
}{
	{"arrive", 14, nil},
	{"converted", 16, []Phase{Converting}},
	{"convert-timeout", 2, []Phase{Converting}},
	{"optional", 9, nil},
	{"made", 6, []Phase{Making}},
	{"finish", 8, []Phase{Running, Stopping, Stuck}},
	{"finish", 8, []Phase{Stopping, Stuck}},
	{"stop-timeout", 5, []Phase{Stopping}},
	{"timeout", 3, []Phase{Waiting, Running, Backlog, Making, Pending}},
	{"lost", 3, []Phase{Converting, Held, Waiting, Running, Stopping, Stuck}},
	{"cancel", 4, nil},
	{"offers", 18, nil},
	{"expand-timeout", 4, nil},
	{"ask-again", 3, []Phase{Running, Running, Stopping}},
	{"expand", 2, nil},
	{"expansion-due", 4, nil},
	{"refill-due", 2, nil},
	{"drain", 1, nil},
	{"resume", 2, nil},
	{"wait", 16, nil},
	{"promise", 2, nil},
	{"unpromise", 2, nil},
	{"shutdown", 1, nil},
	{"shutdown-now", 1, nil},
}

func (g *generator) next() op {
	for {
		all := 0
		for _, m := range mix {
			all += m.weight
		}
		at, i := g.pick(all), 0
		for ; at >= mix[i].weight; i++ {
			at -= mix[i].weight
		}
		o := op{verb: mix[i].verb}
		switch o.verb {
		case "arrive":
			o.name = g.newName()
		case "optional":
			o.name = g.newName()
			o.task, o.size = g.newTask(o.name), g.pick(16)
		case "cancel":
			o.name = g.id("", 2)
		case "wait":
			o.wait = g.duration()
		case "promise", "unpromise":
			o.n = g.pick(4)
		case "shutdown", "shutdown-now", "drain":
			if g.pick(6) != 0 {
				continue
			}
		case "expand", "expansion-due", "refill-due", "resume":
		default:
			asks := o.verb == "offers" || o.verb == "expand-timeout"
			j := g.job(mix[i].fits, asks)
			if j == nil {
				continue
			}
			o.name = g.pair.names[g.pair.dumb.numbers[j.Ref]]
			if len(g.latest) > 0 && g.pick(40) == 0 {
				o.name = g.latest[g.pick(len(g.latest))] // perhaps gone
			}
			g.complete(&o, j)
		}
		return o
	}
}

// complete adds to the op of a job what its verb needs.
func (g *generator) complete(o *op, j *dumbJob) {
	switch o.verb {
	case "converted":
		o.task = g.newTask(o.name)
		o.result = g.result(8)
	case "made":
		o.task.Expandable, o.result = g.pick(2) == 0, g.result(6)
	case "finish":
		o.result = g.result(3)
	case "offers":
		n := g.pick(3)
		if j.ask != nil {
			n = max(0, j.ask.n+1-g.pick(3))
		}
		for range n {
			name := g.newName()
			t := Task{ID: g.id(name, 6), Expandable: g.pick(2) == 0}
			o.offers = append(o.offers, opOffer{name, t})
		}
	}
}

// job picks a job that the phases fit, or, now and then, any.
func (g *generator) job(fits []Phase, asked bool) *dumbJob {
	whichever := g.pick(30) == 0
	jobs := g.pair.truth.all(func(j *dumbJob) bool {
		return whichever || asked && j.ask != nil || slices.Contains(fits, j.Phase)
	})
	if len(jobs) == 0 {
		return nil
	}
	return jobs[g.pick(len(jobs))]
}

func (g *generator) newName() string {
	g.fresh++
	name := fmt.Sprint("j", g.fresh)
	g.latest = append(g.latest, name)
	return name
}

func (g *generator) newTask(name string) Task {
	priorities := []int{0, 0, 0, 1, 1, 2, 3, -1, -7, math.MaxInt}
	return Task{
		ID:         g.id(name, 3),
		Priority:   priorities[g.pick(len(priorities))],
		Expandable: g.pick(3) != 0,
	}
}

// id is the name, or, once in so many, one of a few that are shared, or none.
func (g *generator) id(name string, once int) string {
	if name != "" && g.pick(once) != 0 {
		return name
	}
	if name == "" && len(g.latest) > 0 && g.pick(once) == 0 {
		return g.latest[max(0, len(g.latest)-1-g.pick(6))]
	}
	return []string{"", "a", "b", "c"}[g.pick(4)]
}

func (g *generator) result(once int) Result {
	if g.pick(once) != 0 {
		return Done
	}
	return Result(1 + g.pick(2))
}

// duration is often exactly so long that something is just due, or not yet.
func (g *generator) duration() time.Duration {
	times := []time.Duration{
		time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond,
		500 * time.Millisecond, time.Second, 2 * time.Second,
	}
	d := times[g.pick(len(times))]
	due := g.pair.truth.end
	if timer := g.pair.truth.timer; len(timer) > 0 && g.pick(2) == 0 {
		due = timer[0]
	}
	if due -= g.pair.now; g.pick(4) == 0 && due > 0 && due <= 4*time.Second {
		d = due
	}
	return d - time.Duration(g.pick(8)/7)
}

// explain shrinks a script that fails, and says how it does.
func explain(script []op) string {
	fails := func(ops []op) error {
		p := newPair(script[0].cfg)
		for _, o := range ops {
			if err := playSafely(p, o); err != nil {
				return err
			}
		}
		return nil
	}
	ops := script[1:]
	for n := len(ops); n > 0; n /= 2 {
		for i := 0; i+n <= len(ops); {
			if fewer := slices.Delete(slices.Clone(ops), i, i+n); fails(fewer) != nil {
				ops = fewer
			} else {
				i += n
			}
		}
		if n == 1 && fails(ops) == nil {
			break
		}
	}
	text := []string{script[0].String()}
	for _, o := range ops {
		text = append(text, o.String())
	}
	return fmt.Sprintf("%v\n\n%s\n", fails(ops), strings.Join(text, "\n"))
}
