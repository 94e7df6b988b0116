//go:build !linux

package peer

import "syscall"

// dieWithParent does nothing on systems without support in the kernel.
func dieWithParent() *syscall.SysProcAttr { return nil }
