//go:build unix && !linux

package pgcluster

import "syscall"

func endWithParent(*syscall.SysProcAttr) {}
