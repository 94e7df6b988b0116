package pipeline

import "time"

// Sweep does what the next sweep would do, at once.
func (p *Pipeline) Sweep() {
	p.live.mu.Lock()
	p.live.streamsDue = time.Time{}
	p.live.mu.Unlock()
	p.live.sweep()
}
