//go:build unix

package core

import (
	"math"
	"syscall"
)

// descriptorShare returns how many descriptors handshakes may hold: a quarter
// of what the process may open.
func descriptorShare() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return max(16, int(min(uint64(limit.Cur)/4, math.MaxInt32)))
}
