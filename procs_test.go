package occamy_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/occamy-go/occamy"
)

func TestR20_TheServerKeepsRoomForItsOwnWork(t *testing.T) {
	was := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(was)
	for _, tt := range []struct {
		procs, slots int
		ok           bool
	}{{1, 1, false}, {2, 1, true}, {2, 2, false}, {2, 4, false}, {3, 2, true}} {
		runtime.GOMAXPROCS(tt.procs)
		err := occamy.CheckProcs(tt.slots)
		if (err == nil) != tt.ok {
			t.Errorf("GOMAXPROCS %d for %d slots: %v", tt.procs, tt.slots, err)
		}
		if err != nil && !strings.Contains(err.Error(), "ReserveProcs") {
			t.Errorf("%v does not say what to do", err)
		}
	}
	runtime.GOMAXPROCS(2)
	if previous := occamy.ReserveProcs(4); previous != 2 {
		t.Errorf("ReserveProcs returned %d, want 2", previous)
	}
	if now := runtime.GOMAXPROCS(0); now != 5 {
		t.Errorf("GOMAXPROCS is %d, want 5", now)
	}
	if err := occamy.CheckProcs(4); err != nil {
		t.Error(err)
	}
	occamy.ReserveProcs(0) // the default is what the process had when it started
	if err := occamy.CheckProcs(0); err != nil {
		t.Error(err)
	}
}
