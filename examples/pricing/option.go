package pricing

import (
	"fmt"
	"math"
	"strconv"

	"github.com/occamy-go/occamy"
)

// option is what a request asks for, and how precisely.
type option struct {
	geometric  bool
	dates      int
	spot       float64
	strike     float64
	rate       float64
	volatility float64
	years      float64
	paths      int
	seed       uint64
}

// parseOption believes nothing that headers say. Other headers are passed over.
func parseOption(h occamy.Headers) (option, error) {
	o := option{dates: 12, spot: 100, strike: 100, rate: 0.05, volatility: 0.2, years: 1, paths: 10_000_000, seed: 1}
	p := parser{headers: h}
	switch average, given := p.text("average"); {
	case average == "geometric":
		o.geometric = true
	case given && average != "arithmetic":
		p.fail("average", "arithmetic or geometric")
	}
	p.integer("dates", &o.dates, 1, 1000)
	p.integer("paths", &o.paths, 2, 10_000_000_000)
	p.number("spot", &o.spot, 1e-6, 1e9)
	p.number("strike", &o.strike, 1e-6, 1e9)
	p.number("rate", &o.rate, -1, 1)
	p.number("volatility", &o.volatility, 1e-6, 5)
	p.number("years", &o.years, 1e-6, 100)
	if s, given := p.text("seed"); given {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			p.fail("seed", "a number from 0 to 2^64-1")
		}
		o.seed = seed
	}
	return o, p.err
}

// parser reads headers. It keeps the first error.
type parser struct {
	headers occamy.Headers
	err     error
}

func (p *parser) fail(key, want string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s is %.40q, not %s", occamy.ErrInvalidHeader, key, fmt.Sprint(p.headers[key]), want)
	}
}

// text returns a header that is a string, and false when there is none.
func (p *parser) text(key string) (string, bool) {
	v, ok := p.headers[key]
	if !ok {
		return "", false
	}
	s, ok := v.(string)
	if !ok {
		p.fail(key, "a string")
	}
	return s, ok
}

func (p *parser) integer(key string, v *int, least, most int) {
	s, ok := p.text(key)
	if !ok {
		return
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		p.fail(key, fmt.Sprintf("a number from %d to %d", least, most))
	}
	*v = n
}

func (p *parser) number(key string, v *float64, least, most float64) {
	s, ok := p.text(key)
	if !ok {
		return
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || x < least || x > most {
		p.fail(key, fmt.Sprintf("a number from %g to %g", least, most))
	}
	*v = x
}
