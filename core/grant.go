package core

import "sync"

// Grant is a user's right to be served. When it is revoked, all flows under it are
// cut. A nil Grant is never revoked. It is safe for concurrent use, and the zero Grant
// is ready.
type Grant struct {
	mu    sync.Mutex
	flows map[*Flow]struct{} // guarded by mu, as all that follows
	ended error
}

// Hold puts f under the grant; f is cut at once if the grant was revoked.
func (g *Grant) Hold(f *Flow) {
	if g == nil {
		return
	}
	g.mu.Lock()
	ended := g.ended
	if ended == nil {
		if g.flows == nil {
			g.flows = map[*Flow]struct{}{}
		}
		g.flows[f] = struct{}{}
	}
	g.mu.Unlock()
	if ended != nil {
		f.Cut(ended)
	}
}

// Release takes an ended flow out of the grant.
func (g *Grant) Release(f *Flow) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.flows, f)
}

// Revoke ends the grant with a cause: all flows under it are cut, and so are later
// ones. It returns how many flows it cut.
func (g *Grant) Revoke(cause error) int {
	g.mu.Lock()
	flows := g.flows
	if g.ended == nil {
		g.ended = cause
	}
	g.flows = nil
	g.mu.Unlock()
	for f := range flows {
		f.Cut(cause)
	}
	return len(flows)
}

// HasEnded reports whether the grant was revoked.
func (g *Grant) HasEnded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ended != nil
}
