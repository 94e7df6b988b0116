//go:build !linux

package netio

import "github.com/umbra-proxy/umbra/core"

// SendQueue returns 0: this system's kernel is not queried.
func SendQueue(core.Stream) int { return 0 }
