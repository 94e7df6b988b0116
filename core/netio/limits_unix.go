//go:build unix

package netio

import (
	"math"
	"syscall"
)

// DescriptorShare returns how many descriptors one kind of object, such as
// handshakes, may hold: a quarter of the process's limit.
func DescriptorShare() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return max(16, int(min(uint64(limit.Cur)/4, math.MaxInt32)))
}
