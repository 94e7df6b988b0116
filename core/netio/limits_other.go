//go:build !unix

package netio

import "math"

// DescriptorShare returns math.MaxInt32: this system sets no limit.
func DescriptorShare() int { return math.MaxInt32 }
