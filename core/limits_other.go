//go:build !unix

package core

import "math"

// descriptorShare returns no bound where the system sets none.
func descriptorShare() int { return math.MaxInt32 }
