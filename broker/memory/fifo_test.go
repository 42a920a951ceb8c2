package memory

import (
	"math/rand/v2"
	"testing"
)

// The queue is compared with a plain slice over random operations.
func TestFifoIsAQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var q fifo
		var want []*request
		for range 100 {
			r := &request{}
			switch op := random.IntN(4); {
			case op < 2:
				q.push(r)
				want = append(want, r)
			case op == 2:
				q.pushFront(r)
				want = append([]*request{r}, want...)
			case len(want) > 0:
				if got := q.pop(); got != want[0] {
					t.Fatal("pop returned another request than the first")
				}
				want = want[1:]
			}
			if q.len() != len(want) {
				t.Fatalf("len is %d, want %d", q.len(), len(want))
			}
		}
	}
}
