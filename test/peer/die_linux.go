package peer

import "syscall"

// dieWithParent has the kernel end a program if the test process is killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
