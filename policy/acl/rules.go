package acl

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/match"
	"github.com/umbra-proxy/umbra/core/option"
)

// rules is an immutable snapshot of all lists.
//
// A request must pass four checks: source, user, target and port. In each check an
// entry of the allow list wins over one of the deny list. A request that matches
// neither list passes, unless the default is deny and the check has an allow list.
type rules struct {
	deny  bool        // the default
	nat64 *core.NAT64 // finds the addresses inside of others

	sources pair[*bart.Lite]
	users   pair[match.Users]
	targets pair[*match.Targets]
	ports   pair[option.Ports]
}

// pair is the two lists of a check. Each list consists of several sets: one for the
// entries in the configuration, and one for each file.
type pair[T any] struct {
	allow, deny []T
	allows      bool // the configuration has an allow list, perhaps an empty one
}

// verdict is the result of the lists of a check.
type verdict uint8

const (
	unlisted verdict = iota // no entry matches
	allows
	denies
)

// passes reports whether a check with the result v passes. listed is true if the
// check has an allow list.
func (r *rules) passes(v verdict, listed bool) bool {
	return v == allows || v == unlisted && !(r.deny && listed)
}

// who checks the source and the user of a request.
func (r *rules) who(client netip.Addr, user string) (reason, bool) {
	why, v := r.inside(client, r.source)
	if !r.passes(v, r.sources.allows) {
		return why, false
	}
	why, v = reason{check: byUser, user: user}, unlisted
	among := func(set match.Users) bool { _, ok := set[user]; return ok }
	if slices.ContainsFunc(r.users.allow, among) {
		v = allows
	} else if slices.ContainsFunc(r.users.deny, among) {
		v = denies
	}
	return why, r.passes(v, r.users.allows)
}

// inside looks an address up by judge, and the IPv4 addresses inside of it: a packet ends
// at those. If one of them is denied, the address is. Where more than one may be meant,
// none of them allows it.
func (r *rules) inside(ip netip.Addr, judge func(netip.Addr) (reason, verdict)) (reason, verdict) {
	ip = match.Plain(ip)
	why, v := judge(ip)
	if v == denies || ip.Is4() {
		return why, v
	}
	in := r.nat64.Inside(ip)
	for _, v4 := range in.IPs() {
		switch innerWhy, inner := judge(v4); {
		case inner == denies:
			return innerWhy, denies
		case inner == allows && len(in.IPs()) == 1:
			v = allows
		}
	}
	return why, v
}

// source looks a client's address up in the source lists.
func (r *rules) source(ip netip.Addr) (reason, verdict) {
	for _, set := range r.sources.allow {
		if set.Contains(ip) {
			return reason{check: bySource}, allows
		}
	}
	for _, set := range r.sources.deny {
		if set.Contains(ip) {
			entry, _ := match.RangeOf(set, ip)
			return reason{check: bySource, entry: entry}, denies
		}
	}
	return reason{check: bySource}, unlisted
}

// port checks a target's port.
func (r *rules) port(port uint16) (reason, bool) {
	among := func(p option.Ports) bool { return p.Contains(port) }
	v := unlisted
	if slices.ContainsFunc(r.ports.allow, among) {
		v = allows
	} else if slices.ContainsFunc(r.ports.deny, among) {
		v = denies
	}
	return reason{check: byPort, port: port}, r.passes(v, r.ports.allows)
}

// named looks a name up in the target lists.
func (r *rules) named(name string) (reason, verdict) {
	var space [core.MaxName + 1]byte
	name = strings.TrimSuffix(name, ".")
	folded := match.Fold(space[:0], name)
	for _, set := range r.targets.allow {
		if _, ok := set.Name(name, folded); ok {
			return reason{}, allows
		}
	}
	for _, set := range r.targets.deny {
		if entry, ok := set.Name(name, folded); ok {
			return reason{check: byTarget, entry: entry}, denies
		}
	}
	return reason{check: byTarget}, unlisted
}

// addressed looks an address up in the target lists, and what is inside of it.
func (r *rules) addressed(ip netip.Addr) (reason, verdict) {
	if ip.Is4() {
		return r.network(ip) // most datagrams
	}
	return r.inside(ip, r.network)
}

// network looks an address up in the target lists.
func (r *rules) network(ip netip.Addr) (reason, verdict) {
	for _, set := range r.targets.allow {
		if set.Has(ip) {
			return reason{}, allows
		}
	}
	for _, set := range r.targets.deny {
		if set.Has(ip) {
			entry, _ := set.Range(ip)
			return reason{check: byTarget, entry: entry}, denies
		}
	}
	return reason{check: byTarget}, unlisted
}

// hint checks a target before the addresses of its name are known. It denies only
// targets that are denied whatever their addresses.
func (r *rules) hint(target core.Addr) (reason, bool) {
	if target.Name() == "" {
		return r.target(target)
	}
	if why, ok := r.port(target.Port()); !ok {
		return why, false
	}
	why, v := r.named(target.Name())
	return why, v != denies
}

// target checks a target as it is: the addresses of a name stay unknown.
func (r *rules) target(target core.Addr) (reason, bool) {
	if why, ok := r.port(target.Port()); !ok {
		return why, false
	}
	var why reason
	var v verdict
	if target.Name() != "" {
		why, v = r.named(target.Name())
	} else {
		why, v = r.addressed(target.IP())
	}
	return why, r.passes(v, r.targets.allows)
}

// resolved checks the address of a name that has passed hint.
func (r *rules) resolved(target core.Addr) (reason, bool) {
	if target.Name() != "" {
		return reason{}, true
	}
	why, v := r.addressed(target.IP())
	return why, v != denies
}

// open checks the addresses of a name, and returns the allowed ones, or ips itself if
// all are allowed. If none is, the reason is that of the last address. An allowed name
// does not allow denied addresses, because the owner of the name chooses them.
func (r *rules) open(name string, ips []netip.Addr) ([]netip.Addr, reason) {
	nameWhy, nameV := r.named(name)
	if nameV == denies {
		return nil, nameWhy
	}
	var why reason
	kept, all := ips, true
	for i, ip := range ips {
		addrWhy, v := r.addressed(ip)
		passes := v != denies && (nameV == allows || r.passes(v, r.targets.allows))
		if !passes {
			why = addrWhy
			if all {
				kept, all = slices.Clone(ips[:i]), false
			}
		} else if !all {
			kept = append(kept, ip)
		}
	}
	return kept, why
}
