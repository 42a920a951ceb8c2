package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/occamy-go/occamy/assist/internal/wire"
)

var (
	ann = Holder{"ann", 1}
	bob = Holder{"bob", 1}
)

func with(n int, cfg Config) *Ledger {
	if cfg.Window == 0 {
		cfg.Window = 100
	}
	if cfg.Bytes == 0 {
		cfg.Bytes = 1 << 20
	}
	l := New(cfg)
	for i := range n {
		l.Add(fmt.Appendf(nil, "unit %d", i))
	}
	return l
}

func indicesOf(units []wire.Unit) []uint64 {
	var is []uint64
	for _, u := range units {
		is = append(is, u.Index)
	}
	return is
}

func wantUnits(t *testing.T, got []wire.Unit, want ...uint64) {
	t.Helper()
	if is := indicesOf(got); !slices.Equal(is, want) {
		t.Errorf("got units %v, want %v", is, want)
	}
}

func collect(l *Ledger) (is []uint64) {
	for {
		i, _, ok := l.Collect()
		if !ok {
			return is
		}
		is = append(is, i)
	}
}

func TestUnitsAreLeasedOnceInOrder(t *testing.T) {
	l := with(5, Config{})
	wantUnits(t, l.Lease(ann, 2, 1), 0, 1)
	wantUnits(t, l.Lease(bob, 2, 1), 2, 3)
	wantUnits(t, l.Lease(ann, 9, 2), 4)
	wantUnits(t, l.Lease(bob, 1, 2))
	if l.Has(ann) != 3 || l.Has(bob) != 2 || l.Free() != 0 {
		t.Errorf("ann has %d, bob %d, nobody %d", l.Has(ann), l.Has(bob), l.Free())
	}
}

func TestTheLastUnitsCanBeLeased(t *testing.T) {
	l := with(5, Config{})
	wantUnits(t, l.LeaseLast(ann, 2, 1), 4, 3)
	wantUnits(t, l.Lease(bob, 9, 1), 0, 1, 2)
}

func TestWhatIsHandedBackIsLeasedFirst(t *testing.T) {
	l := with(5, Config{})
	l.Lease(ann, 3, 1)
	l.Return(ann, 1)
	if l.Has(ann) != 1 {
		t.Errorf("ann keeps %d", l.Has(ann))
	}
	wantUnits(t, l.Lease(bob, 9, 1), 0, 2, 3, 4)
}

func TestAResultCountsOnceWhoeverSendsIt(t *testing.T) {
	l := with(2, Config{})
	l.Lease(ann, 1, 1)
	l.Return(ann)
	l.Lease(bob, 1, 1)
	if !l.Result(0, []byte("of ann")) || l.Result(0, []byte("of bob")) {
		t.Error("the first result counts, and no other")
	}
	if !l.Result(1, []byte("of a unit that nobody has")) {
		t.Error("a result counts even when its unit was handed back")
	}
	if is := collect(l); !slices.Equal(is, []uint64{0, 1}) {
		t.Errorf("collected %v", is)
	}
	if l.Result(0, nil) || l.Free() != 0 || l.Has(bob) != 0 {
		t.Error("a unit that was collected came back")
	}
	if l.Complete() {
		t.Error("complete although there may be more units")
	}
	if err := l.Close(); err != nil || !l.Complete() {
		t.Errorf("not complete, %v", err)
	}
}

func TestAResultOfAUnitThatIsFarOffIsNotKept(t *testing.T) {
	l := with(2, Config{Window: 10})
	if l.Result(1<<60, nil) || l.Result(12, nil) {
		t.Error("kept")
	}
	if !l.Result(11, nil) {
		t.Error("one that is about to be known is dropped")
	}
	_ = l.Close()
	if l.Result(3, nil) {
		t.Error("kept although there is no such unit")
	}
}

func TestOrderedResultsWaitForThoseBefore(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		l := with(4, Config{Ordered: ordered})
		var got [][]uint64
		for _, i := range []uint64{2, 0, 3, 1} {
			l.Result(i, nil)
			got = append(got, collect(l))
		}
		want := [][]uint64{{2}, {0}, {3}, {1}}
		if ordered {
			want = [][]uint64{nil, {0}, nil, {1, 2, 3}}
		}
		if !slices.EqualFunc(got, want, slices.Equal[[]uint64]) {
			t.Errorf("ordered %v: %v, want %v", ordered, got, want)
		}
	}
}

func TestAUnitThatFailsRunsAgainSoOften(t *testing.T) {
	l := with(1, Config{Retries: 2})
	for range 2 {
		l.Lease(ann, 1, 1)
		if err := l.Failed(0, ann, 1, "no luck"); err != nil {
			t.Fatal(err)
		}
		if l.Free() != 1 {
			t.Fatal("it is not free")
		}
	}
	l.Lease(ann, 1, 1)
	if err := l.Failed(0, bob, 1, "not its"); err != nil {
		t.Errorf("a failure of somebody who does not have it: %v", err)
	}
	var failed *UnitError
	if err := l.Failed(0, ann, 1, "no luck"); !errors.As(err, &failed) || failed.Index != 0 || failed.Runs != 3 || failed.Reason != "no luck" {
		t.Errorf("got %v", err)
	}
}

// A report may come twice, or late.
func TestAFailureCountsOnce(t *testing.T) {
	l := with(1, Config{Retries: 1})
	l.Lease(ann, 1, 1)
	for range 3 {
		if err := l.Failed(0, ann, 1, "no luck"); err != nil {
			t.Fatal(err)
		}
	}
	l.Lease(ann, 1, 2)
	if err := l.Failed(0, ann, 1, "no luck"); err != nil {
		t.Errorf("it is taken for a failure of the next run: %v", err)
	}
	if l.Free() != 0 {
		t.Error("the next run is forgotten")
	}
	if err := l.Failed(0, ann, 2, "no luck"); err == nil {
		t.Error("the second failure does not count")
	}
}

// A unit that crashes whoever computes it must not do so for ever; what waited
// behind it is not to blame.
func TestAUnitThatIsLostTooOftenFails(t *testing.T) {
	l := with(2, Config{Losses: 2})
	for range 2 {
		l.Lease(ann, 2, 1)
		if err := l.Lost(ann); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Lost(ann); err != nil {
		t.Errorf("somebody who has nothing was lost: %v", err)
	}
	l.Lease(bob, 1, 1)
	l.Result(0, nil)
	for range 2 {
		l.Lease(ann, 1, 1)
		if err := l.Lost(ann); err != nil {
			t.Fatalf("unit 1 is blamed for unit 0: %v", err)
		}
	}
	l.Lease(ann, 1, 1)
	if err := l.Lost(ann); err == nil {
		t.Error("no error")
	}
}

func TestAHolderSaysWhatItHas(t *testing.T) {
	l := with(6, Config{})
	l.Lease(ann, 2, 1)                 // 0, 1
	l.Lease(ann, 2, 2)                 // 2, 3
	l.Holds(ann, []uint64{1, 5}, 1, 3) // it has not heard of the second grant yet
	wantUnits(t, l.Lease(bob, 9, 1), 0, 4)
	if l.Has(ann) != 4 {
		t.Errorf("ann has %d, want 1, 2, 3 and 5", l.Has(ann))
	}
	l.Holds(ann, []uint64{0}, 3, 4) // bob has that
	if l.Has(ann) != 0 || l.Has(bob) != 2 || l.Free() != 4 {
		t.Errorf("ann has %d, bob %d, nobody %d", l.Has(ann), l.Has(bob), l.Free())
	}
}

func TestTheWindowBoundsWhatIsKnown(t *testing.T) {
	l := with(0, Config{Window: 3, Bytes: 10})
	for l.Room() {
		l.Add([]byte("x"))
	}
	if n, _ := l.Units(); n != 3 {
		t.Errorf("%d units", n)
	}
	l.Result(0, []byte("12345678901234567890"))
	if l.Room() || l.Free() != 0 {
		t.Errorf("room %v, %d free, although 20 bytes wait to be collected", l.Room(), l.Free())
	}
	collect(l)
	if !l.Room() || l.Free() != 1 {
		t.Errorf("room %v, %d free, want one, as its result may be as large", l.Room(), l.Free())
	}
}

// Large units are leased however many bytes they have: what is bounded is what
// comes back.
func TestLargeUnitsAndSmallResults(t *testing.T) {
	l := with(0, Config{Window: 100, Bytes: 100})
	for l.Room() {
		l.Add(make([]byte, 20))
	}
	l.Lease(ann, 1, 1)
	l.Result(0, make([]byte, 10))
	collect(l)
	if n := l.Free(); n != 4 {
		t.Errorf("%d free, want all", n)
	}
}

// With results in order, the one that all wait for may always be leased.
func TestTheUnitThatAllWaitForMayBeLeased(t *testing.T) {
	l := with(5, Config{Bytes: 10, Ordered: true})
	l.Lease(ann, 1, 1)
	l.Lease(bob, 2, 1)
	l.Result(1, make([]byte, 20))
	if n := l.Free(); n != 0 {
		t.Errorf("%d free, while the buffer is full", n)
	}
	l.Return(ann)
	if n := l.Free(); n != 1 {
		t.Errorf("%d free, want the first unit", n)
	}
}

func TestAUnitLargerThanTheBoundIsTakenAlone(t *testing.T) {
	l := with(0, Config{Bytes: 10})
	if !l.Room() {
		t.Fatal("no room")
	}
	l.Add(make([]byte, 100))
	if l.Room() {
		t.Error("room for another")
	}
}

func TestResultsOfAnEarlierAttempt(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		l := New(Config{Window: 2, Bytes: 100, Ordered: ordered})
		for _, i := range []uint64{3, 0, 2, 3} {
			l.Restore(i, nil)
		}
		n := len(collect(l))
		for i := range 5 {
			if !l.Room() {
				t.Fatalf("no room for unit %d", i)
			}
			l.Add(nil)
			for _, u := range l.Lease(ann, 1, 1) {
				l.Result(u.Index, nil)
			}
			n += len(collect(l))
		}
		if err := l.Close(); err != nil || !l.Complete() || n != 5 {
			t.Errorf("ordered %v: %v, complete %v, %d collected", ordered, err, l.Complete(), n)
		}
	}
}

func TestAnotherPlanIsFound(t *testing.T) {
	for _, i := range []uint64{0, 4} {
		l := New(Config{})
		l.Restore(i, nil)
		if err := l.Close(); !errors.Is(err, ErrPlan) {
			t.Errorf("unit %d is no more: %v", i, err)
		}
	}
}

// Whatever holders do, each unit is collected once, in the end all are, and the
// bounds hold.
func TestAnyCourseOfEvents(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		cfg := Config{Window: 1 + random.IntN(20), Bytes: 50, Retries: 1 << 30, Losses: 1 << 30, Ordered: seed%2 == 0}
		l := New(cfg)
		total := uint64(random.IntN(60))
		holders := []Holder{ann, bob, {"ann", 2}}
		has := make(map[Holder][]uint64) // what they believe
		collected := make(map[uint64]bool)
		var last uint64
		for step := 0; !l.Complete(); step++ {
			if step > 100_000 {
				t.Fatalf("seed %d: no end", seed)
			}
			h := holders[random.IntN(len(holders))]
			pick := func() (uint64, bool) {
				if len(has[h]) == 0 {
					return 0, false
				}
				return has[h][random.IntN(len(has[h]))], true
			}
			switch random.IntN(10) {
			case 0, 1:
				if n, all := l.Units(); l.Room() && n < total {
					l.Add(make([]byte, random.IntN(10)))
				} else if !all && n == total {
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
				}
			case 2, 3:
				has[h] = append(has[h], indicesOf(l.Lease(h, 1+random.IntN(3), 1))...)
			case 4, 5:
				if i, ok := pick(); ok {
					l.Result(i, make([]byte, random.IntN(10)))
				}
			case 6:
				if i, ok := pick(); ok {
					_ = l.Failed(i, h, 1, "")
				}
			case 7:
				switch random.IntN(4) {
				case 0:
					l.Return(h)
				case 1:
					_ = l.Lost(h)
				case 2:
					l.Holds(h, has[h], 1, 1)
				case 3:
					has[h] = nil
					l.Holds(h, nil, 1, 1)
				}
			default:
				if i, _, ok := l.Collect(); ok {
					if collected[i] || cfg.Ordered && len(collected) > 0 && i != last+1 {
						t.Fatalf("seed %d: unit %d was collected after %d", seed, i, last)
					}
					collected[i], last = true, i
				}
			}
			if n := len(l.open) + len(l.ready); n > cfg.Window+1 {
				t.Fatalf("seed %d: %d units are known", seed, n)
			}
			check(t, l)
		}
		if uint64(len(collected)) != total || l.bodies+l.wait != 0 || len(l.leases) != 0 {
			t.Errorf("seed %d: %d of %d collected, %d bytes left, leases %v", seed, len(collected), total, l.bodies+l.wait, l.leases)
		}
	}
}

// check compares what the ledger keeps twice.
func check(t *testing.T, l *Ledger) {
	t.Helper()
	bytes, leased := 0, 0
	for i, u := range l.open {
		bytes += len(u.body)
		if u.leased {
			leased++
		}
		if u.leased == slices.Contains(l.free, i) || u.leased && !slices.Contains(l.leases[u.holder], i) || l.done.has(i) {
			t.Fatalf("unit %d: %+v, free %v, leases %v", i, u, l.free, l.leases)
		}
	}
	for _, r := range l.ready {
		bytes += len(r)
	}
	for _, is := range l.leases {
		leased -= len(is)
	}
	if bytes != l.bodies+l.wait || leased != 0 {
		t.Fatalf("%d bytes, noted are %d; %d leases too many", bytes, l.bodies+l.wait, -leased)
	}
}
