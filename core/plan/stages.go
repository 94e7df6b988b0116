package plan

import (
	"slices"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// pipeline returns the stages of a pipeline.
func (b *builder) pipeline(p *config.Pipeline) []Stage {
	var stages []Stage
	for _, id := range p.Gates() {
		stages = append(stages, Stage{Component: id.String(), Role: roleOf(id, Gate)})
	}
	stages = append(stages, Stage{Component: p.Inbound().String(), Role: Inbound})
	var rest []*config.Component
	for _, id := range p.Chain[len(stages):] {
		rest = append(rest, b.components[id.String()])
	}
	return append(stages, b.chain(rest, "", nil)...)
}

// roleOf returns the role of a stage that is no inbound: an observer's wherever it stands, or
// that of its place.
func roleOf(id config.ID, place Role) Role {
	if id.Section == core.SectionObserver {
		return Observer
	}
	return place
}

// chain returns the stages of a chain that begins after an inbound, or of a branch.
// through is the ID of the hop before it, "" for none. within are the components
// whose branches the chain stands in. A branch that leads back to one of them ends
// there: references by type make no cycle, but a kind may describe one.
func (b *builder) chain(chain []*config.Component, through string, within []*config.Component) []Stage {
	stages := []Stage{}
	for _, c := range chain {
		if slices.Contains(within, c) {
			break
		}
		s := Stage{Component: c.ID.String(), Role: roleOf(c.ID, Middleware)}
		branches := b.branches(c)
		if c.ID.Section == core.SectionOutbound || len(branches) > 0 {
			s.Role, s.Through = Hop, through
		}
		for _, branch := range branches {
			var members []*config.Component
			for _, n := range branch.Chain {
				if member := b.find(n.To); member != nil {
					members = append(members, member)
				}
			}
			to := Branch{Label: branch.Label, Rule: branch.rule, Stages: b.chain(members, through, append(slices.Clone(within), c))}
			s.Branches = append(s.Branches, to)
		}
		if s.Role == Hop {
			through = s.Component
		}
		stages = append(stages, s)
	}
	return stages
}

// branch is one of the chains among which a component chooses.
type branch struct {
	core.Branch
	rule string // its ID, or ""
}

// branches returns the chains among which a component chooses: those of the rules that it
// asks, and its own.
func (b *builder) branches(c *config.Component) []branch {
	var all []branch
	for _, n := range c.Description.Judges {
		rule := b.find(n.To)
		if rule == nil {
			continue
		}
		for _, to := range rule.Description.Branches {
			all = append(all, branch{core.Branch{Label: rule.ID.String(), Chain: to.Chain}, rule.ID.String()})
		}
	}
	for _, to := range c.Description.Branches {
		all = append(all, branch{Branch: to})
	}
	return all
}
