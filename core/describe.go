package core

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Describer is implemented by the options struct of a kind, with a value receiver:
// it says what a component with these options will do. `umbra check`, `explain` and
// `resolve` know no more of a component than that.
//
// Describe is a pure function of the options: it reads no file and panics on no
// options, whether or not a constructor would take them. A kind without it is valid;
// nothing is known of its components but their options. config.CheckDescriptions
// compares what is said with the options.
type Describer interface{ Describe() Description }

// Description is what the options of a component say of it. What is left out is
// not known, or not there; so is a Listener, a Server or a Named of an option that is
// left out, which needs no case of its own. Keys are those of the table, as OptionKey
// makes them.
type Description struct {
	Listeners []Listener  // the addresses on which it accepts clients
	Servers   []Server    // what it dials beside the targets of its clients
	Targets   Targets     // what becomes of the names of targets
	Asks      []Named     // a resolver: the resolvers that it asks, in order
	Via       Named       // a resolver: the outbound through which it asks its name servers
	Wire      []Named     // the transports and the cipher of its connections
	Branches  []Branch    // an outbound: the chains among which it chooses
	Networks  Networks    // what it carries; a component in Wire may carry less
	InStreams bool        // its UDP travels in streams, so what carries streams alone carries it too
	Secrets   []string    // the keys of options that hold a secret
	Domains   []Domain    // a resolver: the domains that have servers of their own
	Ranges    string      // a policy: the key of address ranges that hold for names only if a stage before it finds their addresses
	Users     *Users      // an inbound or a cipher: who its clients can be; nil if that is not known
	ForUsers  []NamedUser // a policy or a rule: the users for whom it has options of their own
	For       []Named     // a rule: the inbounds whose requests it tells from others
	Judges    []Named     // an outbound: the rules that it asks, in order, which lead to their own branches
}

// Listener is an address that a component listens on, or a name, for all addresses that
// it has.
type Listener struct {
	Key      string
	Addr     netip.AddrPort // the unspecified IPv6 address stands for every address
	Name     Addr           // in place of Addr: a name that is looked up when the component starts to listen
	Networks Networks
}

// IsValid reports whether l has an address or a name.
func (l Listener) IsValid() bool { return l.Addr.IsValid() || l.Name.IsValid() }

// Server is a server that a component dials.
type Server struct {
	Key      string
	Role     ServerRole
	Addr     Addr
	Text     string       // as shown, if that is more than Addr: "tls://dns.example"
	Resolver Named        // what finds the addresses of its name, if the options say so
	Fixed    []netip.Addr // the addresses of its name, if the options have them
}

// A ServerRole says why a server is dialled.
type ServerRole string

// The roles.
const (
	RoleHop        ServerRole = "hop"         // requests go through it
	RoleNameServer ServerRole = "name_server" // a resolver asks it
	RoleTarget     ServerRole = "target"      // it is the target of requests, whatever their clients name
	RoleProbe      ServerRole = "probe"       // asked for through each branch, beside requests
	RoleSide       ServerRole = "side"        // dialled straight from this machine, beside requests: a decoy, a store
)

// Targets says what a component does with the name of a request's target.
type Targets struct {
	Names    NameUse
	Resolver Named // what looks them up, with NamesLookedUp; nothing for the operating system
}

// A NameUse is what becomes of a name.
type NameUse string

// The uses. An outbound says one of them; other components say one only if they
// look names up.
const (
	NamesLookedUp NameUse = "looked_up" // its addresses are found on this machine
	NamesSent     NameUse = "sent"      // it goes to the component's server as it is
	NamesUnused   NameUse = "unused"    // nothing is dialled
)

// Named is a component that an option names.
type Named struct {
	Key string
	To  Reference // nil or without a name if the option is left out
}

// Given reports whether the option names a component.
func (n Named) Given() bool { return n.To != nil && n.To.RefName() != "" }

// NamedList returns a Named for each element of a list of references, whose own key
// is given.
func NamedList[R Reference](key string, refs []R) []Named {
	var all []Named
	for i, r := range refs {
		all = append(all, Named{key + "." + strconv.Itoa(i), r})
	}
	return all
}

// Branch is one of the chains among which an outbound chooses for each request: a
// member of a group, what a rule leads to. Chain has what a pipeline may have after
// its inbound, in order; an outbound in it may have branches itself.
type Branch struct {
	Label string // for people
	Chain []Named
}

// Domain is a domain whose names a resolver asks of servers of their own.
type Domain struct {
	Name    string
	Servers []string // as in the file
}

// Networks is a set of networks. The empty set says nothing.
type Networks uint8

// The networks, as elements of a set.
const (
	OverTCP Networks = 1 << iota
	OverUDP
)

// Strings returns "tcp", "udp" or both.
func (n Networks) Strings() []string {
	var all []string
	if n&OverTCP != 0 {
		all = append(all, string(TCP))
	}
	if n&OverUDP != 0 {
		all = append(all, string(UDP))
	}
	return all
}

// With returns d and what the parts say of themselves: the structs that the options
// embed. Of what a component says once, d's own counts, then that of the first part.
func (d Description) With(parts ...Describer) Description {
	for _, part := range parts {
		p := part.Describe()
		d.Listeners = slices.Concat(d.Listeners, p.Listeners)
		d.Servers = slices.Concat(d.Servers, p.Servers)
		d.Asks = slices.Concat(d.Asks, p.Asks)
		d.Wire = slices.Concat(d.Wire, p.Wire)
		d.Branches = slices.Concat(d.Branches, p.Branches)
		d.Secrets = slices.Concat(d.Secrets, p.Secrets)
		d.Domains = slices.Concat(d.Domains, p.Domains)
		if d.Targets.Names == "" {
			d.Targets = p.Targets
		}
		if !d.Via.Given() {
			d.Via = p.Via
		}
		if d.Ranges == "" {
			d.Ranges = p.Ranges
		}
		if d.Networks == 0 {
			d.Networks = p.Networks
		}
		d.InStreams = d.InStreams || p.InStreams
		d.Users = d.Users.With(p.Users)
		d.ForUsers = slices.Concat(d.ForUsers, p.ForUsers)
		d.For = slices.Concat(d.For, p.For)
		d.Judges = slices.Concat(d.Judges, p.Judges)
	}
	return d
}

// Named returns all components that d names.
func (d Description) Named() []Named {
	all := slices.Concat([]Named{d.Targets.Resolver, d.Via}, d.Asks, d.Wire, d.For, d.Judges)
	for _, s := range d.Servers {
		all = append(all, s.Resolver)
	}
	for _, b := range d.Branches {
		all = append(all, b.Chain...)
	}
	return slices.DeleteFunc(all, func(n Named) bool { return !n.Given() })
}

// OptionKey returns the key of an option within tables and lists, in the form of
// TOML: next."tokyo.example".server. The part of an element of a list is its index,
// from 0. An OptionError takes such a key too.
func OptionKey(parts ...string) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('.')
		}
		if part == "" || strings.Trim(part, bareLetters) != "" {
			part = strconv.Quote(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

// bareLetters are what a key of TOML without quotes is made of.
const bareLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// SplitOptionKey returns the parts of a key. What can't be read as quotes is part
// of a name.
func SplitOptionKey(key string) []string {
	var parts []string
	for {
		if quoted, err := strconv.QuotedPrefix(key); err == nil && quoted[0] == '"' {
			rest := key[len(quoted):]
			if part, err := strconv.Unquote(quoted); err == nil && (rest == "" || rest[0] == '.') {
				parts = append(parts, part)
				if rest == "" {
					return parts
				}
				key = rest[1:]
				continue
			}
		}
		part, rest, more := strings.Cut(key, ".")
		parts = append(parts, part)
		if !more {
			return parts
		}
		key = rest
	}
}
