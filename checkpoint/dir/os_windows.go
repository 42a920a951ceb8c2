package dir

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// flock locks a file against all other openings of it. Without wait, errLocked
// tells that somebody has it.
func flock(f *os.File, wait bool) error {
	how := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK)
	if !wait {
		how |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

// syncDir does nothing: Windows has no such call.
func syncDir(string) error { return nil }
