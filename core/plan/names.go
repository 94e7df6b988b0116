package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// Name is a name that comes up in a pipeline, and who finds its addresses.
type Name struct {
	Of     NameOf   `json:"of"`
	Name   string   `json:"name,omitempty"`   // of a server; the domain of a NameDomain
	Branch []string `json:"branch,omitempty"` // the labels of the branches in which this holds, the outermost first
	Finder
}

// A NameOf says whose name it is.
type NameOf string

// What names are of.
const (
	NameTargets NameOf = "targets" // what clients ask for
	NameFirst   NameOf = "first"   // the same, of the resolver that the one above asks first
	NameThen    NameOf = "then"    // the same, of those that it asks then
	NameDomain  NameOf = "domain"  // what clients ask for in a domain with servers of its own
	NameServer  NameOf = "server"  // a server in the file
)

// targets returns who finds the names of the targets of a chain: an entry for each
// way through its branches.
func (b *builder) targets(stages []Stage, branch []string) []Name {
	one := func(f Finder) []Name { return []Name{{Of: NameTargets, Branch: branch, Finder: f}} }
	for i, s := range stages {
		c := b.components[s.Component]
		switch targets := c.Description.Targets; {
		case c.ID.Section == core.SectionResolver:
			return one(b.byResolver(c))
		case s.Role == Hop && i < len(stages)-1: // its target is the server of the next hop
		case len(s.Branches) > 0:
			var all []Name
			for _, br := range s.Branches {
				all = append(all, b.targets(br.Stages, append(slices.Clone(branch), br.Label))...)
			}
			return all
		case targets.Names == core.NamesLookedUp:
			return one(b.byOption(targets.Resolver))
		case targets.Names == core.NamesSent:
			f := byServer(s.Component)
			f.Text += ", which is sent the names"
			return one(f)
		case targets.Names == core.NamesUnused:
			return one(Finder{ByNothing, s.Component, fmt.Sprintf("none needed: %s dials no target", c.ID)})
		case s.Role == Hop:
			return one(Finder{ByUnknown, s.Component, fmt.Sprintf("not known: %s is of a kind that does not say", c.ID)})
		}
	}
	return one(Finder{By: ByUnknown, Text: "not known: no outbound"})
}

// asked returns who else is asked for what a resolver finds, in order.
func (b *builder) asked(f Finder, branch []string) []Name {
	if f.By != ByResolver {
		return nil
	}
	var all []Name
	for i, n := range b.components[f.Component].Description.Asks {
		if c := b.find(n.To); c != nil {
			other := b.byResolver(c)
			all = append(all, Name{Of: []NameOf{NameFirst, NameThen}[min(i, 1)], Branch: branch, Finder: other})
			all = append(all, b.asked(other, branch)...)
		}
	}
	return all
}

// names returns who finds the names that come up in a pipeline: those of its
// targets, and those of servers that the file has.
func (b *builder) names(stages []Stage) []Name {
	var all []Name
	targets := b.targets(stages, nil)
	for _, n := range targets {
		all = append(all, n)
		all = append(all, b.asked(n.Finder, n.Branch)...)
	}
	all = append(all, b.hops(stages)...)
	target := inShort(targets, stages[len(stages)-1].Component)
	seen := map[string]bool{}
	for s := range every(stages) {
		all = append(all, b.servers(b.components[s.Component], target, seen)...)
	}
	return all
}

// every yields the stages of a chain and those of its branches.
func every(stages []Stage) func(yield func(Stage) bool) {
	return func(yield func(Stage) bool) { walk(stages, yield) }
}

func walk(stages []Stage, yield func(Stage) bool) bool {
	for _, s := range stages {
		if !yield(s) {
			return false
		}
		for _, branch := range s.Branches {
			if !walk(branch.Stages, yield) {
				return false
			}
		}
	}
	return true
}

// hops returns who finds the names of the servers that a chain goes through.
func (b *builder) hops(stages []Stage) []Name {
	var all []Name
	for s := range every(stages) {
		for _, server := range b.components[s.Component].Description.Servers {
			f := b.byOption(server.Resolver)
			if f.By == BySystem && s.Through != "" {
				f = b.byOutbound(b.components[s.Through])
			}
			if n := (Name{Of: NameServer, Name: server.Addr.Name(), Finder: f}); server.Role == core.RoleHop && n.Name != "" && !known(all, n) {
				all = append(all, n)
			}
		}
	}
	return all
}

// servers returns who finds the names of the other servers of a component and of
// those that it names. target finds the name of a server that is a target.
func (b *builder) servers(c *config.Component, target Finder, seen map[string]bool) []Name {
	if seen[c.ID.String()] {
		return nil
	}
	seen[c.ID.String()] = true
	d := c.Description
	var all []Name
	for _, domain := range d.Domains {
		text := fmt.Sprintf("%s asks %s", c.ID, strings.Join(domain.Servers, ", "))
		all = append(all, Name{Of: NameDomain, Name: domain.Name, Finder: Finder{ByResolver, c.ID.String(), text}})
	}
	for _, s := range d.Servers {
		if s.Addr.Name() == "" {
			continue
		}
		n := Name{Of: NameServer, Name: s.Addr.Name()}
		switch {
		case s.Role == core.RoleHop:
			continue
		case len(s.Fixed) > 0:
			n.Finder = Finder{By: ByFile, Text: "this file, which has its addresses"}
		case s.Role == core.RoleTarget:
			n.Finder = target
		case s.Role == core.RoleProbe:
			n.Finder = Finder{ByBranch, c.ID.String(), "depends on the branch that " + c.ID.String() + " takes"}
		case s.Role == core.RoleNameServer:
			n.Finder = bySystem
			if via := b.find(d.Via.To); via != nil {
				n.Finder = b.byOutbound(via)
			}
		default:
			n.Finder = b.byOption(s.Resolver)
		}
		if !known(all, n) {
			all = append(all, n)
		}
	}
	for _, id := range c.Refs {
		other := b.components[id.String()]
		if other == b.find(d.Via.To) { // which stands in no chain
			all = append(all, b.hops(b.chain([]*config.Component{other}, "", nil))...)
		}
		all = append(all, b.servers(other, target, seen)...)
	}
	return all
}

// known reports whether the same is said of the name of a server already.
func known(all []Name, n Name) bool {
	return slices.ContainsFunc(all, func(other Name) bool { return other.Of == n.Of && other.Name == n.Name && other.Finder == n.Finder })
}
