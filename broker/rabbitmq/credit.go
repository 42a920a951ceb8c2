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

// total is the credit of a server: its slots. A kind that has nothing to do does
// not take any of that from one that wants more: what it listens with comes on
// top, so that no slot stays empty for it. When it gets something all the same
// while the slots are in use, that is held.
func total(slots int, claims []claim) int {
	idle, hungry := 0, false
	for _, c := range claims {
		hungry = hungry || c.hungry()
		if c.credit > 0 && c.used == 0 {
			idle++
		}
	}
	if hungry {
		slots += min(idle, len(claims)-1)
	}
	return max(slots, len(claims))
}

// share divides the credit of a server among its kinds. Each gets at least 1. Who
// uses less than it has keeps what it uses; those who use all share the rest,
// max-min fairly. While nobody wants more, all stays as it is.
func share(slots int, claims []claim) []int {
	out := make([]int, len(claims))
	sum, hungry := 0, false
	for i, c := range claims {
		out[i] = max(c.credit, 1)
		sum += out[i]
		hungry = hungry || c.hungry()
	}
	left := total(slots, claims)
	if !hungry && sum >= left && sum < left+len(claims) {
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
