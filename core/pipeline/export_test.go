package pipeline

import "github.com/umbra-proxy/umbra/core"

// Sweeping reports whether the timer that looks for idle streams runs.
func Sweeping(p *Pipeline) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sweep != nil
}

// Relay is relay for a caller that waits.
func Relay(f *core.Flow, client, upstream core.Stream) error {
	done := make(chan error, 1)
	relay(f, client, upstream, func(err error) { done <- err })
	return <-done
}

// SweepingPackets is Sweeping for associations.
func SweepingPackets(p *Pipeline) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.packetSweep != nil
}
