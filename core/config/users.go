package config

import (
	"slices"
	"strconv"

	"github.com/umbra-proxy/umbra/core"
)

// maxUserWarnings is how many unknown users of one component are named in warnings of their own.
const maxUserWarnings = 8

// warnOfUsers warns of the users that policies name and no client of their pipelines can
// be. Where it is not known who the clients can be, there is no warning.
func (c *checker) warnOfUsers() {
	for _, component := range c.order {
		named := component.Description.ForUsers
		if len(named) == 0 {
			continue
		}
		known := c.usersBefore(component.ID)
		if known == nil || known.More {
			continue
		}
		can := map[string]bool{}
		for _, name := range known.Names {
			can[name] = true
		}
		unknown := slices.DeleteFunc(slices.Clone(named), func(u core.NamedUser) bool { return can[u.Name] })
		for _, u := range unknown[:min(len(unknown), maxUserWarnings)] {
			more := c.didYouMean(u.Name, known.Names)
			if len(known.Names) == 0 {
				more = ": they have no users"
			}
			at, path := component.place(u.Key)
			c.file.warn(at, path, "no client of the policy's pipelines can be the user "+show(u.Name)+more)
		}
		if more := len(unknown) - maxUserWarnings; more > 0 {
			c.file.warn(component.at.key, component.ID.String(), "no client of the policy's pipelines can be "+strconv.Itoa(more)+" more of the users that it names")
		}
	}
}

// usersBefore returns the users that the requests to a policy can have. It returns nil if
// that is not known: for a policy in no pipeline, or in a chain that an outbound chooses.
func (c *checker) usersBefore(policy ID) *core.Users {
	for _, component := range c.order {
		for _, b := range component.Description.Branches {
			for _, n := range b.Chain {
				if n.Given() && (ID{n.To.RefSection(), n.To.RefName()}) == policy {
					return nil
				}
			}
		}
	}
	var all *core.Users
	for _, p := range c.file.Pipelines {
		if !slices.Contains(p.Chain, policy) {
			continue
		}
		known := c.usersOf(p.Inbound())
		if known == nil {
			return nil
		}
		all = all.With(known)
	}
	return all
}

// usersOf returns the users that the clients of an inbound can be: those of the inbound and
// those of its cipher.
func (c *checker) usersOf(inbound ID) *core.Users {
	d := c.file.Components[inbound].Description
	all := d.Users
	for _, n := range d.Wire {
		if !n.Given() {
			continue
		}
		if under := c.file.Components[ID{n.To.RefSection(), n.To.RefName()}]; under != nil {
			all = all.With(under.Description.Users)
		}
	}
	return all
}
