// Package group has what outbounds share that choose among other outbounds, their members:
// the health of the members, attempts, probes, and the ways of streams and datagrams. A kind
// of group is a Picker with options of its own.
package group

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/chain"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys that all groups share. Embed them in the options of a kind.
type Options struct {
	Members  []core.Ref[core.Outbound] `toml:"members" required:"true" help:"the [outbound.x] tables to choose among"`
	Attempts int                       `toml:"attempts" default:"2" min:"1" max:"64" help:"how many members are tried for one request, as long as no byte of the client's has left"`
	Fall     int                       `toml:"fall" default:"3" min:"1" max:"1000" help:"how many failures in a row take a member out"`
	Rise     int                       `toml:"rise" default:"2" min:"1" max:"1000" help:"how many successes bring a member back"`
	Rest     option.Duration           `toml:"rest" default:"30s" min:">0s" max:"24h" help:"how long a member that is out is left alone before single requests try it"`
	AllDown  string                    `toml:"all_down" default:"try" oneof:"try,refuse" help:"what becomes of requests while every member is out: try one all the same, or refuse"`
	OnSwitch string                    `toml:"on_switch" default:"leave" oneof:"leave,cut" help:"what becomes of connections through a member that requests have left: they stay, or are cut"`
	Probe    *Probe                    `toml:"probe" help:"asks for a target through each member from time to time; without it, requests alone show how members are"`
}

var _ core.Describer = Options{}

// Describe implements core.Describer: each member is a branch.
func (o Options) Describe() core.Description {
	var d core.Description
	if o.Probe != nil {
		d.Servers = []core.Server{{Key: "probe.target", Role: core.RoleProbe, Addr: o.Probe.Target.Addr()}}
	}
	for _, n := range core.NamedList("members", o.Members) {
		d.Branches = append(d.Branches, core.Branch{Label: n.To.RefName(), Chain: []core.Named{n}})
	}
	return d
}

// Picker is what one kind of group differs by. It is safe for concurrent use.
type Picker interface {
	// Pick returns which of members, an index, is tried next for a request, or -1 for none
	// of them. They are the members that are in and were not tried for the request yet;
	// after -1, or if there are none, those that are out, unless all_down is "refuse".
	// There is at least one, and their order is that of the options. It does not block and
	// keeps or changes no part of members.
	Pick(q Question, members []*Member) int
}

// Question is what a member is picked for.
type Question struct {
	Request *core.Request // its Target means nothing for a UDP association
	Attempt int           // how many members were tried for it before
	Dry     bool          // nothing is dialled: the picker tells what it would pick, and counts nothing
}

// Single is a Picker that has one member serve all requests until another one takes over.
// Requests have left the earlier one then: see the option on_switch.
type Single interface {
	Picker
	// Serves reports whether m, which was picked, serves from now on. One that was picked
	// for a request alone, as to measure it, does not.
	Serves(m *Member) bool
}

// Group is an outbound that chooses among members for each request.
type Group struct {
	env     core.Env
	options Options
	picker  Picker
	single  Single // the picker, or nil
	members []*Member
	current atomic.Pointer[Member]
	kept    *kept

	placing sync.Mutex
	probed  []core.Dialer // of the members, at the first position of the group; guarded by placing

	retire  sync.Once
	retired chan struct{} // closed when new requests go through another file
}

var (
	_ core.Outbound  = (*Group)(nil)
	_ core.Runner    = (*Group)(nil)
	_ core.Retirer   = (*Group)(nil)
	_ core.Commander = (*Group)(nil)
	_ core.Chooser   = (*Group)(nil)
	_ core.Measurer  = (*Group)(nil)
)

// kept is what a group keeps over a reload.
type kept struct {
	epoch    atomic.Uint32 // counts changes that associations follow
	switches atomic.Uint64 // changes of the member that serves

	mu      sync.Mutex
	members map[string]*health // by Member.kept; guarded by mu, as all that follows
	serves  string             // the member that serves, or served last; "" before the first
}

// New returns a group whose members p picks. Its errors name the option to correct.
func New(env core.Env, o Options, p Picker) (*Group, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	g := &Group{env: env, options: o, picker: p, kept: new(kept), retired: make(chan struct{})}
	g.single, _ = p.(Single)
	var errs []error
	if len(o.Members) == 0 {
		errs = append(errs, core.BadOption("members", "empty; name the outbounds to choose among"))
	}
	for i, ref := range o.Members {
		if slices.Contains(o.Members[:i], ref) {
			errs = append(errs, core.BadOption(memberKey(i), "outbound.%s stands twice", ref))
			continue
		}
		out, err := ref.Get(env)
		if err != nil {
			return nil, err
		}
		m := &Member{name: string(ref), id: "outbound." + string(ref), index: i, outbound: out, health: new(health)}
		if digest := core.DigestOf(env, ref); digest != "" {
			m.kept = m.name + " " + digest
		}
		g.members = append(g.members, m)
	}
	errs = append(errs, o.Probe.check())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	core.Keep(env, g.adopt)
	return g, nil
}

// memberKey returns the key of a member in the options.
func memberKey(i int) string { return fmt.Sprintf("members.%d", i) }

// adopt takes over what is known of members whose tables have not changed.
func (g *Group) adopt(old *kept) *kept {
	k := old
	if k == nil {
		k = new(kept)
	}
	g.kept = k
	k.mu.Lock()
	defer k.mu.Unlock()
	now := map[string]*health{}
	for _, m := range g.members {
		if m.kept == "" {
			continue
		}
		if h := k.members[m.kept]; h != nil {
			m.health = h
		}
		now[m.kept] = m.health
	}
	k.members = now
	return k
}

// Members returns the members in the order of the options. The list must not be changed.
func (g *Group) Members() []*Member { return g.members }

// Over returns the Dialer whose members all begin over wire.
func (g *Group) Over(wire core.Dialer) (core.Dialer, error) {
	d := &dialer{Group: g}
	var errs []error
	for i, m := range g.members {
		over, err := chain.Hop(g.env.Process, m.id, m.outbound, wire)
		if err != nil {
			errs = append(errs, g.at(i, err))
		}
		d.over = append(d.over, over)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g.placing.Lock()
	defer g.placing.Unlock()
	if g.probed == nil {
		g.probed = d.over
	}
	return d, nil
}

// at places an error at member i.
func (g *Group) at(i int, err error) error {
	return core.InComponent(g.env, &core.OptionError{Key: memberKey(i), Err: err})
}

// Retire ends the probes: those of the file that came after this one go on.
func (g *Group) Retire() { g.retire.Do(func() { close(g.retired) }) }
