package app

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/umbra-proxy/umbra/core/budget"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/netio"
)

// limitsOf returns the limits of the process under a file: the descriptors that the
// system allows, and the memory that the file allows.
func limitsOf(p config.Process) budget.Limits {
	memory, ok := p.Memory.Bytes()
	if !ok {
		memory = availableMemory()
	}
	return budget.Limits{Descriptors: budget.DescriptorLimit(), Memory: memory}
}

// availableMemory returns the memory of the control group, or of the machine if that is
// less, or 0 if the system tells neither.
func availableMemory() int64 {
	least := uint64(math.MaxInt64)
	for _, of := range []memlimit.Provider{memlimit.FromCgroup, memlimit.FromSystem} {
		if bytes, err := of(); err == nil && bytes > 0 {
			least = min(least, bytes)
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return int64(least)
}

// boundMemory has the runtime and the buffers keep to the limits. The environment variable
// GOMEMLIMIT overrides what the runtime is told.
func boundMemory(l budget.Limits) {
	netio.BoundBuffers(l.BufferBytes())
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	soft := int64(math.MaxInt64)
	if l.Memory > 0 {
		soft = l.Memory / 10 * 9 // the rest is for what the runtime does not count
	}
	debug.SetMemoryLimit(soft)
}
