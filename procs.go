package occamy

import (
	"fmt"
	"runtime"
)

// ReserveProcs sets GOMAXPROCS to slots + 1 and returns what it was. The tasks
// compute: when every slot is busy, every core is, and the server's own
// goroutines, the broker's client and the task about to start would queue
// behind them in turns of 10 ms. With one more than the slots, the operating
// system lets the thread that slept go first. A program calls it once, before
// it makes a server; slots is Config.Slots, or zero for its default.
func ReserveProcs(slots int) (previous int) {
	return runtime.GOMAXPROCS(orDefault(slots, startCPUs) + 1)
}

// CheckProcs returns an error that says what to do when GOMAXPROCS leaves no
// room for the server's own work beside slots that compute. slots is
// Config.Slots, or zero for its default.
func CheckProcs(slots int) error {
	slots = orDefault(slots, startCPUs)
	if procs := runtime.GOMAXPROCS(0); procs <= slots {
		return fmt.Errorf("occamy: GOMAXPROCS is %d for %d slots: requests will wait behind computing tasks; call occamy.ReserveProcs or set GOMAXPROCS to %d", procs, slots, slots+1)
	}
	return nil
}
