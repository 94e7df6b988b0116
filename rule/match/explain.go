package match

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/match"
	"github.com/umbra-proxy/umbra/core/option"
)

// Explain implements core.RuleExplainer. It stops at the first option that fails.
func (r *Rule) Explain(q *core.Request, to core.Addr, ips []netip.Addr) (core.Judgement, []core.RuleReason) {
	j := r.Judge(q, to, ips)
	o, s := &r.options, r.sets.Load()
	inbound := core.Ref[core.Inbound](q.Client.Inbound)
	client := match.Plain(q.Client.Addr.Addr())
	var why []core.RuleReason
	ok := true
	// list adds what one list says, and reports whether the rule may still hold.
	list := func(key string, given bool, at int, text string, size int) {
		not := strings.HasPrefix(key, "not_")
		if !given || !ok {
			return
		}
		reason := core.RuleReason{Key: key, Text: text, Holds: (text != "") != not}
		switch {
		case text == "" && not:
			return // the usual case says nothing
		case text == "":
			reason.Text = "none of " + count(size)
		case at >= 0:
			reason.Key = core.OptionKey(key, strconv.Itoa(at))
		}
		why, ok = append(why, reason), reason.Holds
	}
	plain := func(key string, in []string, value string) {
		at := slices.Index(in, value)
		text := ""
		if at >= 0 {
			text = value
		}
		list(key, in != nil, at, text, len(in))
	}
	plain("networks", o.Networks, string(q.Network))
	plain("not_networks", o.NotNetworks, string(q.Network))
	ports := func(key string, in []option.Ports) {
		at := slices.IndexFunc(in, func(p option.Ports) bool { return p.Contains(to.Port()) })
		text := ""
		if at >= 0 {
			text = in[at].String()
		}
		list(key, in != nil, at, text, len(in))
	}
	ports("ports", o.Ports)
	ports("not_ports", o.NotPorts)
	plain("inbounds", refs(o.Inbounds), string(inbound))
	plain("not_inbounds", refs(o.NotInbounds), string(inbound))
	users := func(key string, in []string, sets []match.Users) {
		text, size := "", 0
		for _, set := range sets {
			size += len(set)
		}
		if hasUser(sets, q.User) {
			text = strconv.Quote(q.User)
		}
		list(key, in != nil, slices.Index(in, q.User), text, size)
	}
	users("users", o.Users, s.users)
	users("not_users", o.NotUsers, s.notUsers)
	for _, l := range []struct {
		key string
		in  []match.Source
		not bool
	}{{"sources", o.Sources, false}, {"not_sources", o.NotSources, true}} {
		sets := s.sources
		if l.not {
			sets = s.notSources
		}
		text, size := "", 0
		for _, set := range sets {
			size += set.Size()
			if found, ok := match.RangeOf(set, client); ok && text == "" {
				text = found.String()
			}
		}
		at := slices.IndexFunc(l.in, func(s match.Source) bool { return s.String() == text })
		list(l.key, l.in != nil, at, text, size)
	}
	if o.Share.percent != 0 && ok {
		ok = o.Share.has(r.env.Name, q)
		why = append(why, core.RuleReason{Key: "share", Text: map[bool]string{true: "the client is in " + o.Share.String(), false: "the client is not in " + o.Share.String()}[ok], Holds: ok})
	}
	for _, l := range []struct {
		key  string
		in   []match.Target
		sets []*match.Targets
	}{{"targets", o.Targets, s.targets}, {"not_targets", o.NotTargets, s.notTargets}} {
		text, at := r.entry(l.in, l.sets, to, ips)
		size := 0
		for _, set := range l.sets {
			size += set.Len()
		}
		if text == "" && ok && l.in != nil && r.target(l.sets, to, ips) == core.RuleNeedsIPs {
			why, ok = append(why, core.RuleReason{Key: l.key, Text: "it depends on the addresses of " + to.Name()}), false
			continue
		}
		list(l.key, l.in != nil, at, text, size)
	}
	return j, why
}

// refs returns references as strings, nil for nil.
func refs(in []core.Ref[core.Inbound]) []string {
	if in == nil {
		return nil
	}
	all := []string{}
	for _, r := range in {
		all = append(all, string(r))
	}
	return all
}

// entry returns the entry of a list that matches a target, as text, and its index in the
// configuration, or -1 for one of a file.
func (r *Rule) entry(in []match.Target, sets []*match.Targets, to core.Addr, ips []netip.Addr) (text string, at int) {
	found, ok := match.Found{}, false
	if to.Name() != "" {
		found, ok = named(sets, to.Name())
	} else {
		ips = []netip.Addr{to.IP()}
	}
	for _, ip := range ips {
		if ok {
			break
		}
		if set, j := r.addressed(sets, ip); j == core.RuleHolds {
			if found, ok = set.Range(match.Plain(ip)); !ok { // the address inside of it
				inside := r.nat64.Inside(match.Plain(ip))
				for _, v4 := range inside.IPs() {
					if found, ok = set.Range(v4); ok {
						break
					}
				}
			}
		}
	}
	if !ok {
		return "", -1
	}
	text = strings.TrimPrefix(found.String(), "suffix:.")
	return text, slices.IndexFunc(in, func(t match.Target) bool { return t.String() == text })
}

// count returns a number of entries in words.
func count(n int) string {
	if n == 1 {
		return "1 entry"
	}
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return fmt.Sprintf("%s entries", digits)
}
