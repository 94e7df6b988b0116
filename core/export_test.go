package core

// What the tests of package core_test need of the inside.
var (
	Relay          = relay
	Interleave     = interleave
	DescriptorsCap = descriptorShare
)

// Sizes of the buffers that are lent.
const (
	BigBuffer   = bigBuffer
	SmallBuffer = smallBuffer
)

// Sweeping reports whether the timer that looks for idle streams runs.
func Sweeping(p *Pipeline) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sweep != nil
}
