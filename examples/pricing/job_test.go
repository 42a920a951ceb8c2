package pricing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/assist"
	"github.com/occamy-go/occamy/broker/memory"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/client"
	"github.com/occamy-go/occamy/occamytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustJob(t testing.TB, headers occamy.Headers) *job {
	t.Helper()
	j, err := newJob(t.Context(), occamy.Request{Kind: Kind, ID: "price", Headers: headers})
	if err != nil {
		t.Fatal(err)
	}
	return j.(*job)
}

// alone computes a job without any server.
func alone(t *testing.T, j *job) Result {
	t.Helper()
	for block, err := range j.Units(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s, err := j.Compute(t.Context(), block)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Collect(t.Context(), block, s); err != nil {
			t.Fatal(err)
		}
	}
	b, err := j.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return mustResult(t, b)
}

func mustResult(t *testing.T, b []byte) (r Result) {
	t.Helper()
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return r
}

// The random numbers depend on the seed alone, so this is no matter of luck.
func TestThePriceAgreesWithTheClosedForm(t *testing.T) {
	for name, headers := range map[string]occamy.Headers{
		"European, at the money":     {"dates": "1"},
		"European, far out of it":    {"dates": "1", "strike": "150", "years": "0.5"},
		"European, far in it":        {"dates": "1", "strike": "20", "rate": "-0.01"},
		"geometric, monthly":         {"average": "geometric"},
		"geometric, daily":           {"average": "geometric", "dates": "250", "paths": "40000"},
		"geometric, long and uneasy": {"average": "geometric", "years": "10", "volatility": "0.6", "seed": "18446744073709551615"},
	} {
		t.Run(name, func(t *testing.T) {
			if headers["paths"] == nil {
				headers["paths"] = "300000"
			}
			r := alone(t, mustJob(t, headers))
			if r.ClosedForm == nil {
				t.Fatal("there is no closed form")
			}
			if off := (r.Price - *r.ClosedForm) / r.StandardError; !(math.Abs(off) < 4) {
				t.Errorf("%g ± %g is %g standard errors from %g", r.Price, r.StandardError, off, *r.ClosedForm)
			}
		})
	}
}

// Values that others have published.
func TestTheClosedForm(t *testing.T) {
	for _, c := range []struct {
		what string
		o    option
		want float64
	}{
		{"Hull, Options, Futures, and Other Derivatives: S=42, K=40, r=10 %, σ=20 %, T=0.5",
			option{dates: 1, spot: 42, strike: 40, rate: 0.1, volatility: 0.2, years: 0.5}, 4.76},
		{"the textbook case: S=K=100, r=5 %, σ=20 %, T=1",
			option{dates: 1, spot: 100, strike: 100, rate: 0.05, volatility: 0.2, years: 1}, 10.45},
		{"Kemna and Vorst, averaged continuously: S=K=100, r=5 %, σ=20 %, T=1",
			option{geometric: true, dates: 1_000_000, spot: 100, strike: 100, rate: 0.05, volatility: 0.2, years: 1}, 5.55},
	} {
		if got, ok := c.o.closedForm(); !ok || math.Abs(got-c.want) > 0.005 {
			t.Errorf("%s: %.4f, %v; want %.2f", c.what, got, ok, c.want)
		}
	}
	if _, ok := (&option{dates: 2}).closedForm(); ok {
		t.Error("there is one for an arithmetic mean")
	}
}

// The arithmetic mean is above the geometric one, path by path.
func TestTheArithmeticMeanCostsMore(t *testing.T) {
	arithmetic := alone(t, mustJob(t, occamy.Headers{"paths": "100000"}))
	geometric := alone(t, mustJob(t, occamy.Headers{"paths": "100000", "average": "geometric"}))
	if d := arithmetic.Price - geometric.Price; d < 0.1 || d > 0.5 {
		t.Errorf("%g and %g", arithmetic.Price, geometric.Price)
	}
	if arithmetic.ClosedForm != nil {
		t.Error("an arithmetic mean has a closed form")
	}
}

func TestSamplesAddUp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all, merged, part sample
	for i := range 1000 {
		x := 1e6 + random.NormFloat64()
		all.add(x)
		part.add(x)
		if i%7 == 0 || i == 999 {
			merged.merge(part)
			part = sample{}
		}
	}
	if merged.Paths != 1000 || math.Abs(merged.Mean-all.Mean) > 1e-6 || math.Abs(merged.standardError()/all.standardError()-1) > 1e-6 {
		t.Errorf("%+v in one, %+v in parts", all, merged)
	}
	if se := all.standardError() * math.Sqrt(1000); se < 0.9 || se > 1.1 {
		t.Errorf("the deviation of standard normal numbers is %g", se)
	}
}

func TestBlocksHaveAllPaths(t *testing.T) {
	for _, paths := range []string{"2", "43690", "43691", "87380", "87381", "1000000", "10000000000"} {
		j := mustJob(t, occamy.Headers{"paths": paths})
		sum, last := 0, -1
		for block, err := range j.Units(t.Context()) {
			if n := j.pathsOf(block); err != nil || n < 1 || n > j.perBlock || block != last+1 {
				t.Fatalf("%s paths: block %d after %d has %d", paths, block, last, n)
			}
			sum, last = sum+j.pathsOf(block), block
		}
		if sum != j.paths || last > mostBlocks {
			t.Errorf("%s paths: %d in %d blocks", paths, sum, last+1)
		}
		for _, block := range []int{-1, last + 1, last + 2, math.MaxInt, math.MinInt} {
			if n := j.pathsOf(block); n != 0 {
				t.Errorf("%s paths: block %d, which is none, has %d", paths, block, n)
			}
		}
	}
}

func TestTheHandlerRefuses(t *testing.T) {
	long := strings.Repeat("9", 1000)
	for key, values := range map[string][]any{
		"average":    {"", "harmonic", 1},
		"dates":      {"", "0", "-1", "1001", "1.5", "many", long, 12},
		"paths":      {"1", "10000000001", "1e6"},
		"spot":       {"0", "-1", "NaN", "Inf", "1e10", "", 100.0},
		"strike":     {"0", "NaN", long},
		"rate":       {"1.1", "-1.1", "5%"},
		"volatility": {"0", "5.1", "-0.2", "NaN"},
		"years":      {"0", "101", "-Inf"},
		"seed":       {"", "-1", "18446744073709551616", "0x1"},
	} {
		for _, v := range values {
			task, err := NewHandler(assist.Config{}).Handle(t.Context(), occamy.Request{Kind: Kind, ID: "x", Headers: occamy.Headers{key: v}})
			if task != nil || !errors.Is(err, occamy.ErrInvalidHeader) || !strings.Contains(err.Error(), key) {
				t.Errorf("%s=%.20v: %v, %v", key, v, task, err)
			} else if len(err.Error()) > 200 {
				t.Errorf("%s=%.20v: an error of %d bytes", key, v, len(err.Error()))
			}
		}
	}
}

func TestAResultOfAnotherBlockIsRefused(t *testing.T) {
	j := mustJob(t, occamy.Headers{"paths": "50000"})
	for block, s := range map[int]sample{0: {Paths: 1}, 1: {Paths: j.perBlock}, 2: {Paths: 1}, -1: {Paths: 1}} {
		if err := j.Collect(t.Context(), block, s); err == nil {
			t.Errorf("block %d with %d paths was taken", block, s.Paths)
		}
	}
}

// fleet runs a request on servers that share a broker, and returns its result.
func fleet(t *testing.T, servers, slots int, headers occamy.Headers) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b, store := memory.New(memory.Options{}), &checkpoint.Memory{}
	var stops []func() error
	for i := range servers {
		var mux occamy.Mux
		mux.Add(Kind, NewHandler(assist.Config{Broker: b, Store: store}))
		s, err := occamy.New(occamy.Config{ID: fmt.Sprint("server", i), Handler: &mux, Slots: slots})
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, b.Connect()) }()
		stops = append(stops, func() error { return errors.Join(s.Shutdown(ctx), <-served) })
	}
	o, err := client.New(b).SubmitAndWait(ctx, client.Request{Kind: Kind, Headers: headers}, nil)
	if err != nil {
		t.Errorf("%d servers: %v", servers, err)
	}
	for _, stop := range stops {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	return string(o.Result)
}

func TestTheResultIsTheSameForAnyNumberOfServers(t *testing.T) {
	headers := occamy.Headers{"paths": "600000", "average": "geometric"}
	want := fleet(t, 1, 1, headers)
	if r, by := mustResult(t, []byte(want)), alone(t, mustJob(t, headers)); r.Price != by.Price || r.StandardError != by.StandardError {
		t.Errorf("a server says %+v, without one it is %+v", r, by)
	}
	for _, c := range []struct{ servers, slots int }{{1, 3}, {2, 1}, {3, 2}} {
		if got := fleet(t, c.servers, c.slots, headers); got != want {
			t.Errorf("%d servers of %d slots: %s, want %s", c.servers, c.slots, got, want)
		}
	}
	headers["seed"] = "2"
	if got := fleet(t, 1, 1, headers); got == want {
		t.Error("another seed gives the same result")
	}
}

func TestTheTaskIsAGoodCitizen(t *testing.T) {
	headers := occamy.Headers{"paths": "200000"}
	for name, cfg := range map[string]assist.Config{
		"alone": {}, "with others": {Broker: memory.New(memory.Options{}), Store: &checkpoint.Memory{}},
	} {
		t.Run(name, func(t *testing.T) {
			occamytest.Task(t, func() occamy.Task {
				task, err := NewHandler(cfg).Handle(t.Context(), occamy.Request{Kind: Kind, ID: "price", Headers: headers, Attempt: 1})
				if err != nil {
					t.Fatal(err)
				}
				return task
			})
		})
	}
	occamytest.Handler(t, NewHandler(assist.Config{}), occamy.Request{Kind: Kind, ID: "price", Headers: headers, Attempt: 1})
}
