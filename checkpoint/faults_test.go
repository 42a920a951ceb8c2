package checkpoint_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/checkpointtest"
)

// once has a fault on the next call of an operation.
func once(op checkpointtest.Op, f checkpointtest.Fault) func(checkpointtest.Op, string) checkpointtest.Fault {
	return func(o checkpointtest.Op, _ string) checkpointtest.Fault {
		if o != op || f == checkpointtest.None {
			return checkpointtest.None
		}
		defer func() { f = checkpointtest.None }()
		return f
	}
}

var allFaults = map[string]checkpointtest.Fault{
	"refused": checkpointtest.Refused, "lost answer": checkpointtest.LostAnswer, "late": checkpointtest.Late,
}

func TestALostAnswerIsNobodyElsesWrite(t *testing.T) {
	const write, remove = checkpointtest.CompareAndSave, checkpointtest.CompareAndDelete
	for name, fault := range allFaults {
		t.Run(name, func(t *testing.T) {
			store := &checkpointtest.Faulty{Store: &checkpoint.Memory{}, Fault: once(write, fault)}
			p := checkpoint.New(store, "r")
			mustClaim(t, p, nil)
			store.Arrive(t.Context())
			store.Fault = once(write, fault)
			mustSave(t, p, "one")
			store.Arrive(t.Context())
			mustSave(t, p, "two")
			store.Fault = once(write, fault)
			q := checkpoint.New(store, "r")
			mustClaim(t, q, []byte("two"))
			store.Arrive(t.Context())
			mustSave(t, q, "three")
			store.Fault = once(remove, fault)
			if err := q.Delete(t.Context()); err != nil {
				t.Errorf("Delete: %v", err)
			}
			store.Arrive(t.Context())
			wantGone(t, store, "r")
		})
	}
}

// A store that is away for a while fails calls, and the holder goes on when it
// is back, whatever had reached the store.
func TestTheHolderGoesOnAfterAnOutage(t *testing.T) {
	for name, fault := range allFaults {
		t.Run(name, func(t *testing.T) {
			store := &checkpointtest.Faulty{Store: &checkpoint.Memory{}}
			p := checkpoint.New(store, "r")
			mustClaim(t, p, nil)
			for i := range 5 {
				store.Fault = func(op checkpointtest.Op, _ string) checkpointtest.Fault {
					if op == checkpointtest.Load {
						return checkpointtest.Refused
					}
					return fault
				}
				if err := p.Save(t.Context(), fmt.Append(nil, "lost ", i)); !errors.Is(err, checkpointtest.ErrFault) {
					t.Fatalf("Save: %v", err)
				}
				store.Fault = nil
				if i%2 == 0 {
					store.Arrive(t.Context())
				}
				mustSave(t, p, fmt.Sprint("kept ", i))
				store.Arrive(t.Context())
				e, err := checkpoint.New(store, "r"), error(nil)
				if got, cerr := e.Claim(t.Context()); cerr != nil || string(got) != fmt.Sprint("kept ", i) {
					t.Fatalf("%q, %v, %v", got, cerr, err)
				}
				mustClaim(t, p, fmt.Append(nil, "kept ", i))
			}
		})
	}
}

// plain is a Store without CompareAndDelete.
type plain struct{ checkpoint.Store }

func TestDeleteWithoutCompareAndDelete(t *testing.T) {
	for name, store := range map[string]checkpoint.Store{
		"none":        plain{&checkpoint.Memory{}},
		"unsupported": &checkpointtest.Faulty{Store: plain{&checkpoint.Memory{}}},
	} {
		t.Run(name, func(t *testing.T) {
			zombie, p := checkpoint.New(store, "r"), checkpoint.New(store, "r")
			mustClaim(t, zombie, nil)
			mustClaim(t, p, nil)
			if err := zombie.Delete(t.Context()); !errors.Is(err, checkpoint.ErrSuperseded) {
				t.Errorf("Delete of a zombie: %v", err)
			}
			mustSave(t, p, "x")
			p.Settled(t.Context(), occamy.Acked)
			wantGone(t, store, "r")
		})
	}
}

func TestAStoreWhoseAnswersAllGetLostIsEnoughWhileItCanBeRead(t *testing.T) {
	store := &checkpointtest.Faulty{Store: &checkpoint.Memory{}}
	store.Fault = func(op checkpointtest.Op, _ string) checkpointtest.Fault {
		if op == checkpointtest.Load {
			return checkpointtest.None
		}
		return checkpointtest.LostAnswer
	}
	p := checkpoint.New(store, "r")
	mustClaim(t, p, nil)
	mustSave(t, p, "one")
	mustSave(t, p, "two")
	mustClaim(t, p, []byte("two"))
	if err := p.Delete(t.Context()); err != nil {
		t.Errorf("Delete: %v", err)
	}
	wantGone(t, store, "r")
}

func TestWhoIsSupersededAsksTheStoreNoMore(t *testing.T) {
	store := &checkpointtest.Faulty{Store: &checkpoint.Memory{}}
	zombie := checkpoint.New(store, "r")
	mustClaim(t, zombie, nil)
	mustClaim(t, checkpoint.New(store, "r"), nil)
	if err := zombie.Save(t.Context(), nil); !errors.Is(err, checkpoint.ErrSuperseded) {
		t.Fatalf("Save: %v", err)
	}
	store.Fault = func(op checkpointtest.Op, _ string) checkpointtest.Fault {
		t.Errorf("it asks to %s", op)
		return checkpointtest.None
	}
	for _, err := range []error{zombie.Save(t.Context(), nil), zombie.Delete(t.Context())} {
		if !errors.Is(err, checkpoint.ErrSuperseded) {
			t.Error(err)
		}
	}
	zombie.Settled(t.Context(), occamy.Acked)
}
