package plan

import (
	"fmt"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
)

// Finder says who finds the addresses of a name.
type Finder struct {
	By        FinderBy `json:"by"`
	Component string   `json:"component,omitempty"` // the ID of the resolver, or of the outbound
	Text      string   `json:"text"`                // for people
}

// A FinderBy is what finds addresses.
type FinderBy string

// What finds addresses.
const (
	ByResolver FinderBy = "resolver" // Component, a resolver
	BySystem   FinderBy = "system"   // the operating system's resolver, on this machine
	ByServer   FinderBy = "server"   // the server of Component, an outbound: the name is sent to it
	ByFile     FinderBy = "file"     // nothing: the addresses are in the file
	ByNothing  FinderBy = "nothing"  // nothing: Component dials no target
	ByBranch   FinderBy = "branch"   // it depends on the branch that Component takes
	ByUnknown  FinderBy = "unknown"  // Component's kind does not say
)

// bySystem is the finder where a file names no other.
var bySystem = Finder{By: BySystem, Text: "the operating system's resolver, on this machine"}

// byResolver returns the finder that a resolver is. The text says how it asks:
// itself, through an outbound, or others.
func (b *builder) byResolver(c *config.Component) Finder {
	f := Finder{ByResolver, c.ID.String(), c.ID.String() + ", on this machine"}
	if via := b.find(c.Description.Via.To); via != nil {
		f.Text = fmt.Sprintf("%s, which asks through %s", c.ID, via.ID)
	} else if len(c.Description.Asks) > 0 {
		f.Text = c.ID.String() + ", which asks others"
	}
	return f
}

// byOption returns the resolver that an option names, or the system's.
func (b *builder) byOption(n core.Named) Finder {
	if c := b.find(n.To); c != nil {
		return b.byResolver(c)
	}
	return bySystem
}

// byServer returns the finder that the server of an outbound is.
func byServer(id string) Finder { return Finder{ByServer, id, "the server of " + id} }

// byOutbound returns who finds a name that is dialled through an outbound.
func (b *builder) byOutbound(c *config.Component) Finder {
	return inShort(b.targets(b.chain([]*config.Component{c}, "", nil), nil), c.ID.String())
}

// inShort returns who finds the name of a server that is dialled as the targets of
// these ways are. id is the outbound that takes one of them.
func inShort(ways []Name, id string) Finder {
	f := ways[0].Finder
	for _, way := range ways {
		if way.Finder != f {
			return Finder{ByBranch, id, "depends on the branch that " + id + " takes"}
		}
	}
	if f.By == ByServer {
		return byServer(f.Component)
	}
	return f
}
