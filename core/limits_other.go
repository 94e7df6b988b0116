//go:build !unix

package core

import "math"

// DescriptorShare returns no bound where the system sets none.
func DescriptorShare() int { return math.MaxInt32 }
