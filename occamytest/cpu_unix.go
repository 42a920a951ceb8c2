//go:build unix

package occamytest

import (
	"syscall"
	"time"
)

// cpuTime is what the process has used, with its children that have ended.
func cpuTime() (used time.Duration, known bool) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			return 0, false
		}
		used += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return used, true
}
