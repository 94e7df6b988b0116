package plan

import (
	"cmp"
	"reflect"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/option"
)

// component returns a table and what it says of itself.
func (b *builder) component(c *config.Component) *Component {
	options, d := reflect.ValueOf(c.Options).Elem(), c.Description
	to := &Component{
		ID: c.ID.String(), Section: string(c.ID.Section), Name: c.ID.Name, Kind: c.Kind,
		Title: title(c), File: b.fileOf(c), Help: config.About(options.Type()), Options: b.options(c, options),
		Networks: networks(b.carried(c)), Secrets: d.Secrets, References: b.references(c),
	}
	for _, l := range d.Listeners {
		if l.IsValid() {
			to.Listeners = append(to.Listeners, Listener{l.Key, option.ListenAt(l).String(), networks(l.Networks)})
		}
	}
	for _, s := range d.Servers {
		if !s.Addr.IsValid() {
			continue
		}
		server := Server{Key: s.Key, Role: string(s.Role), Address: address(s)}
		for _, ip := range s.Fixed {
			server.Fixed = append(server.Fixed, ip.String())
		}
		to.Servers = append(to.Servers, server)
	}
	return to
}

// address returns a server as it is shown.
func address(s core.Server) string { return cmp.Or(s.Text, s.Addr.String()) }

// networks returns a set as a list, never nil.
func networks(n core.Networks) []string { return append([]string{}, n.Strings()...) }

// carried returns the networks that a component carries over what it stands on, 0 if
// that is not known. A transport that says nothing carries streams alone; a cipher that
// says nothing takes nothing away.
func (b *builder) carried(c *config.Component) core.Networks {
	carried := c.Description.Networks
	if c.Description.InStreams {
		return carried
	}
	for _, n := range c.Description.Wire {
		switch under := b.find(n.To); {
		case under == nil:
		case under.Description.Networks != 0:
			carried &= under.Description.Networks
		case under.ID.Section == core.SectionTransport:
			carried &= core.OverTCP
		}
	}
	return carried
}

// references returns what a component names: first what its kind says the use of, in
// the order of the uses, then what only the type of an option tells.
func (b *builder) references(c *config.Component) []Reference {
	var all []Reference
	known := map[string]bool{}
	add := func(use Use, list ...core.Named) {
		for _, n := range list {
			if to := b.find(n.To); to != nil {
				all = append(all, Reference{n.Key, to.ID.String(), use})
				known[to.ID.String()] = true
			}
		}
	}
	d := c.Description
	add(UseWire, d.Wire...)
	add(UseTargets, d.Targets.Resolver)
	for _, s := range d.Servers {
		add(UseServer, s.Resolver)
	}
	add(UseAsks, d.Asks...)
	add(UseVia, d.Via)
	add(UseRule, d.Judges...)
	add(UseFor, d.For...)
	for _, branch := range d.Branches {
		add(UseBranch, branch.Chain...)
	}
	for _, id := range c.Refs {
		if !known[id.String()] {
			all = append(all, Reference{Component: id.String()})
		}
	}
	return all
}
