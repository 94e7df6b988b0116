package config

import (
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
)

// checkLoops finds pipelines whose requests come back to them: the first hop of each is
// the inbound of the next, and the last leads to the first. Outbounds that choose among
// branches are left out, because a request may take another one.
func (c *checker) checkLoops() {
	next := map[*Pipeline]*Pipeline{}
	for _, p := range c.file.Pipelines {
		next[p] = c.dialled(p)
	}
	said := map[ID]bool{}
	for _, p := range c.file.Pipelines {
		to := next[p]
		for n := 0; to != nil && to != p && n < len(next); n++ {
			to = next[to]
		}
		if to != p {
			continue
		}
		id := p.Outbounds()[0]
		if said[id] {
			continue
		}
		said[id] = true
		at, path := c.file.Components[id].place(c.hop(id).Key)
		c.add(at, path, "a loop: it leads to %s, so requests of pipeline.%s come back to it; write the address of another server", next[p].Inbound(), p.Name)
	}
}

// hop returns the server that an outbound dials; its Addr is not valid if there is none,
// or more than one.
func (c *checker) hop(id ID) (hop core.Server) {
	component := c.file.Components[id]
	if component == nil || len(component.Description.Branches)+len(component.Description.Judges) > 0 {
		return hop
	}
	for _, s := range component.Description.Servers {
		switch {
		case s.Role != core.RoleHop:
		case hop.Addr.IsValid():
			return core.Server{}
		default:
			hop = s
		}
	}
	return hop
}

// dialled returns the pipeline whose inbound is the first hop of p, or nil.
func (c *checker) dialled(p *Pipeline) *Pipeline {
	if p.inbound() == len(p.Chain) || p.outbound() == len(p.Chain) {
		return nil
	}
	to := c.hop(p.Outbounds()[0]).Addr
	if !to.IsValid() {
		return nil
	}
	for _, other := range c.file.Pipelines {
		if other.inbound() == len(other.Chain) {
			continue
		}
		component := c.file.Components[other.Inbound()]
		if component == nil {
			continue
		}
		for _, l := range component.Description.Listeners {
			if l.Name.IsValid() && to == l.Name || leadsTo(to, l.Addr) {
				return other
			}
		}
	}
	return nil
}

// leadsTo reports whether the file alone shows that what is sent to an address comes to a
// listener.
func leadsTo(to core.Addr, l netip.AddrPort) bool {
	ip := to.IP()
	if to.Name() == "localhost" {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if !l.IsValid() || to.Port() != l.Port() || !ip.IsValid() {
		return false
	}
	ip, at := ip.Unmap(), l.Addr().Unmap()
	return ip == at || at.IsUnspecified() && (ip.IsLoopback() || ip.IsUnspecified()) && (at.Is6() || ip.Is4())
}

// warnOfNames warns of policies whose address ranges names walk around: nothing before
// them knows the addresses of names.
func (c *checker) warnOfNames() {
	warned := map[ID]bool{}
	for _, p := range c.file.Pipelines {
		known := false
		for _, id := range p.Middleware() {
			component := c.file.Components[id]
			d := component.Description
			if key := d.Ranges; key != "" && !known && !warned[id] {
				warned[id] = true
				at, path := component.place(key)
				c.file.warn(at, path, "its address ranges hold for no target that is a name, because nothing finds the name's addresses before pipeline."+p.Name+" asks it; name a [resolver.x] in its option resolver")
			}
			known = known || id.Section == core.SectionResolver || d.Targets.Names == core.NamesLookedUp
		}
	}
}
