package match

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/gaissmai/bart"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/chain"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/match"
)

// Rule is the rule. While it runs it reads list files that have changed.
type Rule struct {
	*chain.Branch
	env     core.Env
	options Options
	nat64   *core.NAT64
	lists   *match.Lists
	now     sets // what lists puts its sets into
	sets    atomic.Pointer[sets]
}

// sets is a snapshot of the lists that may be in files.
type sets struct {
	targets, notTargets []*match.Targets
	sources, notSources []*bart.Lite
	users, notUsers     []match.Users
}

var (
	_ core.RuleExplainer = (*Rule)(nil)
	_ core.Runner        = (*Rule)(nil)
)

// New returns the rule. Its errors name the option to correct, and the line of a list file.
func New(env core.Env, o Options) (core.Rule, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	branch, err := chain.New(env, "chain", o.Chain)
	if err != nil {
		return nil, err
	}
	r := &Rule{Branch: branch, env: env, options: o, nat64: core.NAT64Of(env.Process), lists: match.NewLists(core.Shared[follow.Files](env.Process))}
	r.lists.Targets("targets", o.Targets, &r.now.targets)
	r.lists.Targets("not_targets", o.NotTargets, &r.now.notTargets)
	r.lists.Sources("sources", o.Sources, &r.now.sources)
	r.lists.Sources("not_sources", o.NotSources, &r.now.notSources)
	r.lists.Users("users", o.Users, &r.now.users)
	r.lists.Users("not_users", o.NotUsers, &r.now.notUsers)
	if err := r.lists.Err(); err != nil {
		return nil, err
	}
	return r, r.take()
}

// take makes what the lists have now the sets of the rule.
func (r *Rule) take() error {
	for _, list := range []struct {
		key  string
		sets []*match.Targets
	}{{"targets", r.now.targets}, {"not_targets", r.now.notTargets}} {
		if err := match.CheckAll(list.sets); err != nil {
			return &core.OptionError{Key: list.key, Err: err}
		}
	}
	r.sets.Store(&sets{
		targets: slices.Clone(r.now.targets), notTargets: slices.Clone(r.now.notTargets),
		sources: slices.Clone(r.now.sources), notSources: slices.Clone(r.now.notSources),
		users: slices.Clone(r.now.users), notUsers: slices.Clone(r.now.notUsers),
	})
	return nil
}

// Run reads list files that have changed until ctx ends. A file with an error is not used:
// its previous entries stay in force.
func (r *Rule) Run(ctx context.Context) {
	if !r.lists.Followed() {
		return
	}
	follow.Watch(ctx, r.env.Log, "list file not read, its old entries stay in use", func() error {
		changed, failed := r.lists.Reload(r.env.Log)
		if !changed {
			return failed
		}
		if err := r.take(); err != nil {
			return err
		}
		return failed
	})
}

// On returns the networks on which the rule can hold.
func (r *Rule) On() core.Networks { return r.options.on() }

// Judge implements core.Rule.
func (r *Rule) Judge(q *core.Request, to core.Addr, ips []netip.Addr) core.Judgement {
	o := &r.options
	if o.Networks != nil && !slices.Contains(o.Networks, string(q.Network)) || slices.Contains(o.NotNetworks, string(q.Network)) {
		return core.RuleFails
	}
	if o.Ports != nil && !r.port(to.Port(), false) || r.port(to.Port(), true) {
		return core.RuleFails
	}
	if o.Inbounds != nil && !slices.Contains(o.Inbounds, core.Ref[core.Inbound](q.Client.Inbound)) || slices.Contains(o.NotInbounds, core.Ref[core.Inbound](q.Client.Inbound)) {
		return core.RuleFails
	}
	s := r.sets.Load()
	if o.Users != nil && !hasUser(s.users, q.User) || hasUser(s.notUsers, q.User) {
		return core.RuleFails
	}
	client := match.Plain(q.Client.Addr.Addr())
	if o.Sources != nil && !hasSource(s.sources, client) || hasSource(s.notSources, client) {
		return core.RuleFails
	}
	if o.Share.percent != 0 && !o.Share.has(r.env.Name, q) {
		return core.RuleFails
	}
	j := core.RuleHolds
	if o.Targets != nil {
		if j = r.target(s.targets, to, ips); j == core.RuleFails {
			return j
		}
	}
	switch r.target(s.notTargets, to, ips) {
	case core.RuleHolds:
		return core.RuleFails
	case core.RuleNeedsIPs:
		return core.RuleNeedsIPs
	}
	return j
}

// port reports whether a port is in ports, or in not_ports.
func (r *Rule) port(port uint16, not bool) bool {
	list := r.options.Ports
	if not {
		list = r.options.NotPorts
	}
	for _, p := range list {
		if p.Contains(port) {
			return true
		}
	}
	return false
}

func hasUser(sets []match.Users, user string) bool {
	for _, set := range sets {
		if _, ok := set[user]; ok {
			return true
		}
	}
	return false
}

func hasSource(sets []*bart.Lite, ip netip.Addr) bool {
	for _, set := range sets {
		if set.Contains(ip) {
			return true
		}
	}
	return false
}

// target reports whether a target is in the sets of a list.
func (r *Rule) target(all []*match.Targets, to core.Addr, ips []netip.Addr) core.Judgement {
	if len(all) == 0 {
		return core.RuleFails
	}
	name := to.Name()
	if name == "" {
		_, j := r.addressed(all, to.IP())
		return j
	}
	if _, ok := named(all, name); ok {
		return core.RuleHolds
	}
	for _, ip := range ips {
		if _, j := r.addressed(all, ip); j == core.RuleHolds {
			return j
		}
	}
	if len(ips) == 0 && slices.ContainsFunc(all, func(t *match.Targets) bool { return t.Ranges() > 0 }) {
		return core.RuleNeedsIPs
	}
	return core.RuleFails
}

// named returns the entry that matches a name.
func named(all []*match.Targets, name string) (match.Found, bool) {
	var space [core.MaxName + 1]byte
	if name[len(name)-1] == '.' {
		name = name[:len(name)-1]
	}
	folded := match.Fold(space[:0], name)
	for _, set := range all {
		if found, ok := set.Name(name, folded); ok {
			return found, true
		}
	}
	return match.Found{}, false
}

// addressed returns the set that has an address, or an IPv4 address inside of it: packets
// end at that one.
func (r *Rule) addressed(all []*match.Targets, ip netip.Addr) (*match.Targets, core.Judgement) {
	ip = match.Plain(ip)
	for _, set := range all {
		if set.Has(ip) {
			return set, core.RuleHolds
		}
	}
	if ip.Is4() {
		return nil, core.RuleFails
	}
	inside := r.nat64.Inside(ip)
	for _, v4 := range inside.IPs() {
		for _, set := range all {
			if set.Has(v4) {
				return set, core.RuleHolds
			}
		}
	}
	return nil, core.RuleFails
}

// has reports whether the client of a request is in the share: by its user, or else by what
// counts as one client.
func (s Share) has(rule string, q *core.Request) bool {
	key := append(make([]byte, 0, 128), rule...)
	key = append(key, 0)
	if q.User != "" {
		key = append(key, q.User...)
	} else {
		key = core.SourceOf(match.Plain(q.Client.Addr.Addr())).AppendTo(key)
	}
	sum := sha256.Sum256(key)
	const all = 1 << 53
	return float64(binary.BigEndian.Uint64(sum[:])>>11)/all*100 < s.percent
}
