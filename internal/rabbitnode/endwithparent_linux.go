package rabbitnode

import "syscall"

// endWithParent has the kernel kill a child whose parent has ended, however that
// came about.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
