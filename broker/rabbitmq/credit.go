package rabbitmq

import "slices"

// claim is what one kind has of the credit, and what it made of it.
type claim struct {
	credit int // that it was given
	used   int // the most that it had out of late

	// content: it did not use the last credit that it got, so it is not given
	// more for a while, although it uses all that it has.
	content bool
}

// hungry says whether a kind used all that it was given, so that more may wait.
func (c claim) hungry() bool { return c.used >= c.credit && !c.content }

// share divides the credit of a server, which is its slots, among its kinds. Each
// gets at least 1. Who uses less than it has keeps what it uses; those who use
// all share the rest, max-min fairly. While nobody wants more, all stays as it
// is.
func share(slots int, claims []claim) []int {
	out := make([]int, len(claims))
	sum, hungry := 0, false
	for i, c := range claims {
		out[i] = max(c.credit, 1)
		sum += out[i]
		hungry = hungry || c.hungry()
	}
	if !hungry && sum == max(slots, len(claims)) {
		return out
	}
	order := make([]int, len(claims))
	need := make([]int, len(claims))
	for i, c := range claims {
		order[i], need[i] = i, slots
		if !c.hungry() {
			need[i] = c.used
		}
		need[i] = max(need[i], 1)
	}
	slices.SortStableFunc(order, func(a, b int) int { return need[a] - need[b] })
	left := max(slots, len(claims))
	for n, i := range order {
		out[i] = max(min(need[i], left/(len(order)-n)), 1)
		left -= out[i]
	}
	// When nobody is hungry, the rest goes to those who have least.
	for left > 0 {
		least := 0
		for i := range out {
			if out[i] < out[least] {
				least = i
			}
		}
		out[least]++
		left--
	}
	return out
}
