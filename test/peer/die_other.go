//go:build !linux

package peer

import "syscall"

// dieWithParent asks for nothing where the kernel can't.
func dieWithParent() *syscall.SysProcAttr { return nil }
