//go:build !unix

package budget

// DescriptorLimit returns 0: this system has no limit.
func DescriptorLimit() int { return 0 }
