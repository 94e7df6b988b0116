//go:build unix

package budget

import (
	"math"
	"syscall"
)

// DescriptorLimit returns how many descriptors the process may open, or 0 if the system
// does not tell.
func DescriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32))
}
