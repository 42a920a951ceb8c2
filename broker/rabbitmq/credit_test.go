package rabbitmq

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestShare(t *testing.T) {
	for _, c := range []struct {
		name   string
		slots  int
		claims []claim
		want   []int
	}{
		{"at first all have the same", 8, []claim{{}, {}}, []int{4, 4}},
		{"what is over goes to some", 8, []claim{{}, {}, {}}, []int{2, 3, 3}},
		{"one has all", 8, []claim{{}}, []int{8}},
		{"each has at least one", 2, []claim{{}, {}, {}}, []int{1, 1, 1}},
		{"nobody wants more", 8, []claim{{credit: 7, used: 3}, {credit: 1, used: 0}}, []int{7, 1}},
		{"one wants more and the other nothing", 8, []claim{{credit: 4, used: 4}, {credit: 4, used: 0}}, []int{7, 1}},
		{"one wants more and the other has a little", 8, []claim{{credit: 4, used: 4}, {credit: 4, used: 1}}, []int{7, 1}},
		{"one wants more and the other is content", 8, []claim{{credit: 5, used: 5}, {credit: 3, used: 3, content: true}}, []int{5, 3}},
		{"both want more", 8, []claim{{credit: 7, used: 7}, {credit: 1, used: 1}}, []int{4, 4}},
		{"two want more, a third keeps what it uses", 12, []claim{{credit: 2, used: 2}, {credit: 6, used: 2}, {credit: 4, used: 4}}, []int{5, 2, 5}},
		{"no more than its share is kept", 8, []claim{{credit: 1, used: 1}, {credit: 7, used: 6}}, []int{4, 4}},
		{"more kinds than slots", 1, []claim{{credit: 1, used: 1}, {credit: 1, used: 0}, {credit: 1, used: 1}}, []int{1, 1, 1}},
	} {
		if got := share(c.slots, c.claims); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestShareGivesAllAndLeavesNobodyOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		slots := 1 + rng.IntN(40)
		claims := make([]claim, 1+rng.IntN(6))
		for i := range claims {
			credit := rng.IntN(slots + 1)
			claims[i] = claim{credit: credit, used: rng.IntN(credit + 1), content: rng.IntN(4) == 0}
		}
		sum := 0
		got := share(slots, claims)
		for i, n := range got {
			sum += n
			if n < 1 {
				t.Fatalf("share(%d, %v) = %v: kind %d has nothing", slots, claims, got, i)
			}
		}
		if want := max(slots, len(claims)); sum != want {
			t.Fatalf("share(%d, %v) = %v, together %d; want %d", slots, claims, got, sum, want)
		}
	}
}
