package config

import (
	"crypto/sha256"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// ID names a component.
type ID struct {
	Section core.Section
	Name    string
}

// String returns the form that a chain uses, such as "outbound.paris".
func (id ID) String() string { return join(string(id.Section), id.Name) }

// Component is one [section.name] table.
type Component struct {
	ID      ID
	Kind    string // the kind's name, never an alias
	Options any    // a pointer to the kind's options struct, defaults applied
	Refs    []ID   // what the options refer to, each once

	Description core.Description // what the options say of the component; empty for a kind that is no core.Describer

	at     *node
	digest [sha256.Size]byte // of the table
	values map[string]any    // as the TOML library reads them, without kind
	like   likeness
}

// Members returns the names of the members of a group: its branches, each of which is one
// outbound and has its name. A component that is no group has none.
func (c *Component) Members() []string {
	var names []string
	for _, b := range c.Description.Branches {
		if len(b.Chain) != 1 || b.Chain[0].To.RefName() != b.Label {
			return nil
		}
		names = append(names, b.Label)
	}
	return names
}

// Pipeline is one [pipeline.name] table.
type Pipeline struct {
	Name  string
	Chain []ID // gates, one inbound, middleware, outbounds
	PipelineOptions

	at     *node
	stages []string // the chain as it is written
}

// PipelineOptions are the keys of a pipeline beside its chain.
type PipelineOptions struct {
	IdleTimeout option.Timeout  `toml:"idle_timeout" default:"5m" min:">0s" help:"how long a connection may move no byte before it is ended"`
	DialTimeout option.Duration `toml:"dial_timeout" default:"10s" min:">0s" help:"how long reaching a target may take, all hops together"`
	KeepAlive   option.Timeout  `toml:"keep_alive" default:"15s" min:"1s" help:"the time between two questions of the kernel whether a silent peer is still there; after four without an answer the connection is ended"`
}

// PipelineTable describes a whole [pipeline.name] table, for Fields.
type PipelineTable struct {
	Chain []string `toml:"chain" required:"true" help:"the stages as \"section.name\", in the order in which a connection travels"`
	PipelineOptions
}

// Inbound returns the chain's inbound.
func (p *Pipeline) Inbound() ID { return p.Chain[p.inbound()] }

// Gates returns the policies and observers that stand before the inbound.
func (p *Pipeline) Gates() []ID { return p.Chain[:p.inbound()] }

// Middleware returns the resolvers, policies and observers after the inbound.
func (p *Pipeline) Middleware() []ID { return p.Chain[p.inbound()+1 : p.outbound()] }

// Outbounds returns the hops, the nearest first. There is at least one.
func (p *Pipeline) Outbounds() []ID { return p.Chain[p.outbound():] }

func (p *Pipeline) inbound() int  { return p.first(core.PlaceInbound) }
func (p *Pipeline) outbound() int { return p.first(core.PlaceOutbounds) }

// first returns the index of the first stage that stands at a place, or the chain's
// length.
func (p *Pipeline) first(at core.Place) int {
	for i, id := range p.Chain {
		if id.Section.Place() == at {
			return i
		}
	}
	return len(p.Chain)
}
