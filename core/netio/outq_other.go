//go:build !linux

package netio

import "github.com/umbra-proxy/umbra/core"

// sendQueue returns 0 where the kernel is not asked.
func SendQueue(core.Stream) int { return 0 }
