package pricing

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
)

// Kind is the kind under which the occamy command knows this handler.
const Kind = "price"

// NewHandler returns a handler that makes jobs of requests. With cfg.Broker their
// assistants may stand on any server that has this handler under the same kind;
// with cfg.Store an attempt computes only what earlier ones have not.
//
// A header that cannot be used is an error that wraps occamy.ErrInvalidHeader.
func NewHandler(cfg assist.Config) occamy.Handler {
	cfg.Ordered = true // adding in one order gives one sum
	return assist.Units(newJob, cfg)
}

const (
	stepsPerBlock = 1 << 19 // some ten milliseconds
	mostBlocks    = 10_000  // of a request; where there would be more they are larger
)

// job is the job of one request. Its units are the numbers of its blocks.
type job struct {
	option
	perBlock int    // paths in a block; the last one may have fewer
	total    sample // of the blocks collected so far
}

// newJob is called with the request on each server that takes part.
func newJob(_ context.Context, r occamy.Request) (assist.UnitsJob[int, sample], error) {
	o, err := parseOption(r.Headers)
	if err != nil {
		return nil, err
	}
	return &job{option: o, perBlock: max(stepsPerBlock/o.dates, o.paths/mostBlocks)}, nil
}

// Units yields the number of each block.
func (j *job) Units(context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for block := 0; block*j.perBlock < j.paths; block++ {
			if !yield(block, nil) {
				return
			}
		}
	}
}

// pathsOf is how many paths a block has: none when there is no such block.
func (j *job) pathsOf(block int) int {
	if block < 0 || block > j.paths/j.perBlock {
		return 0
	}
	return min(j.perBlock, j.paths-block*j.perBlock)
}

// Compute follows the paths of one block, on the slot of the request or on that
// of an assistant. It looks at ctx before each path, which takes some
// microseconds.
func (j *job) Compute(ctx context.Context, block int) (sample, error) {
	var s sample
	random := rand.New(rand.NewPCG(j.seed, uint64(block))) // a stream for each block
	for range j.pathsOf(block) {
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
		s.add(j.payoff(random))
	}
	return s, nil
}

// payoff follows one path, and returns what the option is worth today if the
// price goes that way.
func (j *job) payoff(random *rand.Rand) float64 {
	dt := j.years / float64(j.dates)
	drift, spread := (j.rate-j.volatility*j.volatility/2)*dt, j.volatility*math.Sqrt(dt)
	x, sum := math.Log(j.spot), 0.0 // the logarithm of the price; of prices or logarithms
	for range j.dates {
		x += drift + spread*random.NormFloat64()
		if j.geometric {
			sum += x
		} else {
			sum += math.Exp(x)
		}
	}
	mean := sum / float64(j.dates)
	if j.geometric {
		mean = math.Exp(mean)
	}
	return math.Exp(-j.rate*j.years) * max(mean-j.strike, 0)
}

// Collect adds the result of a block, in the order of the blocks.
func (j *job) Collect(_ context.Context, block int, s sample) error {
	if s.Paths != j.pathsOf(block) {
		return fmt.Errorf("pricing: block %d has %d paths, not %d", block, s.Paths, j.pathsOf(block))
	}
	j.total.merge(s)
	return nil
}

// Result is what a request gives.
type Result struct {
	Price         float64  `json:"price"`
	StandardError float64  `json:"standard_error"`
	Paths         int      `json:"paths"`
	ClosedForm    *float64 `json:"closed_form,omitempty"` // the exact price, where it is known
}

// Result makes the Result of what was collected.
func (j *job) Result(context.Context) ([]byte, error) {
	r := Result{Price: j.total.Mean, StandardError: j.total.standardError(), Paths: j.total.Paths}
	if exact, ok := j.closedForm(); ok {
		r.ClosedForm = &exact
	}
	return json.Marshal(r)
}

// sample is what is known of the payoffs of some paths. It travels as JSON,
// which keeps every bit of a float64.
type sample struct {
	Paths   int     `json:"paths"`
	Mean    float64 `json:"mean"`
	Squares float64 `json:"squares"` // of the distances from the mean, added up
}

// add adds one payoff (Welford).
func (s *sample) add(x float64) {
	s.Paths++
	d := x - s.Mean
	s.Mean += d / float64(s.Paths)
	s.Squares += d * (x - s.Mean)
}

// merge adds the payoffs of o (Chan, Golub and LeVeque).
func (s *sample) merge(o sample) {
	n := s.Paths + o.Paths
	d, part := o.Mean-s.Mean, float64(o.Paths)/float64(n)
	s.Squares += o.Squares + d*d*part*float64(s.Paths)
	s.Mean += d * part
	s.Paths = n
}

// standardError is that of the mean.
func (s *sample) standardError() float64 {
	return math.Sqrt(s.Squares / float64(s.Paths-1) / float64(s.Paths))
}
