package acl

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// rules is all that the lists say at one time. They and their sets do not change any
// more.
//
// A request must pass four questions: its source, its user, its target and its port.
// In each, an entry of the allow list wins over one of the deny list; what stands in
// neither passes, unless the default is to deny and the question has an allow list.
type rules struct {
	deny bool // the default

	sources pair[*bart.Lite]
	users   pair[users]
	targets pair[*targets]
	ports   pair[option.Ports]
}

// pair is the two lists of a question, each of several sets: the table's own and one
// for each file.
type pair[T any] struct {
	allow, deny []T
	allows      bool // the table has an allow list, perhaps an empty one
}

// verdict is what the lists of a question say.
type verdict uint8

const (
	silent verdict = iota
	allows
	denies
)

// passes is the order of all lists. listed says that the question has an allow list.
func (r *rules) passes(v verdict, listed bool) bool {
	return v == allows || v == silent && !(r.deny && listed)
}

// who judges where a request comes from.
func (r *rules) who(client netip.Addr, user string) (reason, bool) {
	ip := plain(client)
	why, v := reason{question: bySource}, silent
	if _, ok := source(r.sources.allow, ip); ok {
		v = allows
	} else if prefix, ok := source(r.sources.deny, ip); ok {
		v, why.prefix = denies, prefix
	}
	if !r.passes(v, r.sources.allows) {
		return why, false
	}
	why, v = reason{question: byUser, text: user}, silent
	among := func(set users) bool { _, ok := set[user]; return ok }
	if slices.ContainsFunc(r.users.allow, among) {
		v = allows
	} else if slices.ContainsFunc(r.users.deny, among) {
		v = denies
	}
	return why, r.passes(v, r.users.allows)
}

// source returns the range that an address is in.
func source(sets []*bart.Lite, ip netip.Addr) (netip.Prefix, bool) {
	for _, set := range sets {
		if set.Contains(ip) {
			return find(set, ip)
		}
	}
	return netip.Prefix{}, false
}

// port judges a target's port.
func (r *rules) port(port uint16) (reason, bool) {
	among := func(p option.Ports) bool { return p.Contains(port) }
	v := silent
	if slices.ContainsFunc(r.ports.allow, among) {
		v = allows
	} else if slices.ContainsFunc(r.ports.deny, among) {
		v = denies
	}
	return reason{question: byPort, port: port}, r.passes(v, r.ports.allows)
}

// named asks the lists about a name.
func (r *rules) named(name string) (reason, verdict) {
	var space [core.MaxName + 1]byte
	name = strings.TrimSuffix(name, ".")
	folded := fold(space[:0], name)
	for _, set := range r.targets.allow {
		if _, ok := set.name(name, folded); ok {
			return reason{}, allows
		}
	}
	for _, set := range r.targets.deny {
		if why, ok := set.name(name, folded); ok {
			why.question = byTarget
			return why, denies
		}
	}
	return reason{question: byTarget}, silent
}

// addressed asks the lists about an address.
func (r *rules) addressed(ip netip.Addr) (reason, verdict) {
	ip = plain(ip)
	for _, set := range r.targets.allow {
		if set.has(ip) {
			return reason{}, allows
		}
	}
	for _, set := range r.targets.deny {
		if set.has(ip) {
			prefix, _ := find(&set.networks, ip)
			return reason{question: byTarget, kind: network, prefix: prefix}, denies
		}
	}
	return reason{question: byTarget}, silent
}

// hint judges a target whose addresses will be known later, if it is a name: only what
// surely is denied is.
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

// target judges a target of which no more will be known.
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

// resolved judges the address that a name was found to have: it has passed as a name.
func (r *rules) resolved(target core.Addr) (reason, bool) {
	if target.Name() != "" {
		return reason{}, true
	}
	why, v := r.addressed(target.IP())
	return why, v != denies
}

// open judges the addresses of a name, and returns those that may be reached: ips
// itself if that is all. If it is none, the reason says why the last one may not. A name
// that is allowed does not allow its addresses: whoever has the name chooses them.
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

// plain returns an address as ranges have it.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }
