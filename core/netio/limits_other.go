//go:build !unix

package netio

import "math"

// DescriptorShare returns no bound where the system sets none.
func DescriptorShare() int { return math.MaxInt32 }
