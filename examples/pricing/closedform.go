package pricing

import "math"

// closedForm is the exact price where one is known: the geometric mean is
// distributed log-normally (Kemna and Vorst, 1990), and for one date there is
// nothing to average (Black and Scholes, 1973).
func (o *option) closedForm() (price float64, ok bool) {
	if !o.geometric && o.dates > 1 {
		return 0, false
	}
	n := float64(o.dates)
	// Mean and deviation of the logarithm of the mean.
	mean := math.Log(o.spot) + (o.rate-o.volatility*o.volatility/2)*o.years*(n+1)/(2*n)
	deviation := o.volatility * math.Sqrt(o.years*(n+1)*(2*n+1)/6) / n
	d := (mean - math.Log(o.strike)) / deviation
	forward := math.Exp(mean + deviation*deviation/2)
	return math.Exp(-o.rate*o.years) * (forward*normal(d+deviation) - o.strike*normal(d)), true
}

// normal is the standard normal distribution function.
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
