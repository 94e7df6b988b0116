// Package route is the outbound that chooses among chains by rules.
package route

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/chain"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of an [outbound.x] table of kind "route".
type Options struct {
	_         core.About              `help:"sends each request to the chain of the first rule that holds"`
	Rules     []core.Ref[core.Rule]   `toml:"rules" required:"true" help:"the [rule.x] tables, in the order in which they are asked"`
	Otherwise core.Chain              `toml:"otherwise" required:"true" help:"where requests go for which no rule holds; [\"outbound.<a block>\"] refuses them"`
	Resolver  core.Ref[core.Resolver] `toml:"resolver" help:"finds the addresses of a target's name for rules with ranges, once a request and only if it depends on them"`
	Remember  int                     `toml:"remember" default:"256" min:"1" max:"65536" help:"how many targets of a UDP association have their branch remembered, for 30 seconds each"`
}

var _ core.Describer = Options{}

// Describe implements core.Describer. What the resolver finds is for the rules alone, so
// the branches say what becomes of names.
func (o Options) Describe() core.Description {
	d := core.Description{
		Branches: []core.Branch{{Label: "otherwise", Chain: o.Otherwise.Named("otherwise")}},
		Judges:   core.NamedList("rules", o.Rules),
	}
	if o.Resolver != "" {
		d.Asks = []core.Named{{Key: "resolver", To: o.Resolver}}
	}
	return d
}

// Outbound is the route.
type Outbound struct {
	env       core.Env
	names     []string // of the rules, as in a path
	rules     []core.Rule
	otherwise *chain.Branch
	resolver  core.Resolver // nil without the option
	asks      string        // names it
	remember  int
	taken     []*atomic.Uint64 // requests by branch; set at the commit of the file
}

var _ core.Outbound = (*Outbound)(nil)

// New returns the outbound. Its errors name the option to correct.
func New(env core.Env, o Options) (core.Outbound, error) {
	if err := option.Check(o); err != nil {
		return nil, err
	}
	out := &Outbound{env: env, remember: o.Remember}
	var errs []error
	for i, ref := range o.Rules {
		if slices.Contains(o.Rules[:i], ref) {
			errs = append(errs, core.BadOption(fmt.Sprintf("rules.%d", i), "rule.%s stands twice; the second time it is never asked", ref))
			continue
		}
		rule, err := ref.Get(env)
		if err != nil {
			return nil, err
		}
		out.rules, out.names = append(out.rules, rule), append(out.names, "rule."+string(ref))
	}
	if len(o.Rules) == 0 {
		errs = append(errs, core.BadOption("rules", "empty; name a [rule.x], or use a kind of outbound other than route"))
	}
	var err error
	if out.otherwise, err = chain.New(env, "otherwise", o.Otherwise); err != nil {
		errs = append(errs, err)
	}
	if o.Resolver != "" && len(errs) == 0 {
		out.asks = "resolver." + string(o.Resolver)
		out.resolver, err = o.Resolver.Get(env)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out.warnOfHidden()
	core.Keep(env, out.adopt)
	return out, nil
}

// maxPairs is how many pairs of rules are compared, so that a file of very many is still
// read in no time.
const maxPairs = 100_000

// warnOfHidden warns of rules that are never reached, for all or some of their entries,
// because an earlier one has them.
func (o *Outbound) warnOfHidden() {
	pairs := 0
	for i, rule := range o.rules {
		c, ok := rule.(core.RuleComparer)
		if !ok {
			continue
		}
		for j, earlier := range o.rules[:i] {
			if pairs++; pairs > maxPairs {
				return
			}
			hidden, of := c.HiddenBy(earlier)
			switch {
			case hidden == 0:
				continue
			case hidden == of:
				o.env.Log.Warn(fmt.Sprintf("%s is never reached: %s has all that it has", o.names[i], o.names[j]))
			default:
				o.env.Log.Warn(fmt.Sprintf("%s is never reached for %d of its %d entries: %s has them", o.names[i], hidden, of, o.names[j]))
			}
			break
		}
	}
}

// Over returns the Dialer whose branches all begin over wire.
func (o *Outbound) Over(wire core.Dialer) (core.Dialer, error) {
	d := &dialer{Outbound: o}
	var errs []error
	for i, rule := range o.rules {
		over, err := rule.Over(wire)
		if err == nil && over == nil {
			err = core.InComponent(o.env, core.BadOption(fmt.Sprintf("rules.%d", i), "%s made neither a dialer nor an error", o.names[i]))
		}
		errs = append(errs, err)
		d.branches = append(d.branches, over)
	}
	over, err := o.otherwise.Over(wire)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	d.branches = append(d.branches, over)
	return d, nil
}

// dialer is the route at one position in a chain.
type dialer struct {
	*Outbound
	branches []core.Dialer // of the rules, and last that of otherwise
}

var _ core.Dialer = (*dialer)(nil)

// judge returns the branch for a target: the first rule that holds decides. needs is true
// if that depends on the addresses of the target's name, which are not known; the branch is
// the rule that needs them then.
func (d *dialer) judge(r *core.Request, to core.Addr, ips []netip.Addr) (branch int, needs bool) {
	for i, rule := range d.rules {
		switch rule.Judge(r, to, ips) {
		case core.RuleHolds:
			return i, false
		case core.RuleNeedsIPs:
			if d.resolver != nil {
				return i, true
			}
		}
	}
	return len(d.rules), false
}

// choose returns the branch for a request, and looks its target's name up if that decides.
// What it finds is for the rules alone: a branch looks the name up in its own way. With an
// error, it is the branch of the rule that needed the lookup.
func (d *dialer) choose(ctx context.Context, r *core.Request) (int, error) {
	branch, needs := d.judge(r, r.Target, r.IPs)
	if !needs {
		return branch, nil
	}
	ips, err := dial.LookUp(ctx, r.Flow, d.asks, d.resolver, r.Target.Name())
	if err != nil {
		return branch, fmt.Errorf("%s needs the addresses of the target: %w", d.names[branch], err)
	}
	branch, _ = d.judge(r, r.Target, ips)
	return branch, nil
}

// fail says which branch failed.
func (d *dialer) fail(branch int, err error) error {
	if branch < len(d.names) {
		return fmt.Errorf("%s: %w", d.names[branch], err)
	}
	return fmt.Errorf("otherwise of outbound.%s: %w", d.env.Name, err)
}

// DialStream dials by the branch of the request.
func (d *dialer) DialStream(ctx context.Context, r *core.Request) (core.Stream, error) {
	branch, err := d.decide(ctx, r)
	if err != nil {
		return nil, err
	}
	s, err := d.branches[branch].DialStream(ctx, r)
	if err != nil {
		return nil, d.fail(branch, err)
	}
	return s, nil
}

var _ core.Finder = (*dialer)(nil)

// Find looks up the target as the branch of the request does.
func (d *dialer) Find(ctx context.Context, r *core.Request) (core.Answer, error) {
	branch, err := d.decide(ctx, r)
	if err != nil {
		return core.Answer{}, err
	}
	return core.Find(ctx, d.branches[branch], r)
}

// PayloadWait returns the wait of the request's branch. If that is not known before a
// lookup, it is the longest of those that may be taken.
func (d *dialer) PayloadWait(r *core.Request) (wait time.Duration) {
	branch, needs := d.judge(r, r.Target, r.IPs)
	if !needs {
		return d.branches[branch].PayloadWait(r)
	}
	for _, b := range d.branches[branch:] {
		wait = max(wait, b.PayloadWait(r))
	}
	return wait
}

// CheckPackets returns the first reason why a branch that datagrams may take carries no UDP.
func (d *dialer) CheckPackets() error {
	for i, rule := range d.rules {
		if on := rule.On(); on != 0 && on&core.OverUDP == 0 {
			continue
		}
		if err := d.branches[i].CheckPackets(); err != nil {
			return fmt.Errorf("%s: %w", d.names[i], err)
		}
	}
	return d.branches[len(d.rules)].CheckPackets()
}
