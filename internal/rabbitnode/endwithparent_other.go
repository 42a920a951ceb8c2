//go:build unix && !linux

package rabbitnode

import "syscall"

// endWithParent does nothing here: a child outlives a parent that was killed.
func endWithParent(*syscall.SysProcAttr) {}
