package pgcluster

import "syscall"

// endWithParent has the kernel end a child whose parent has ended, however that
// came about.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
