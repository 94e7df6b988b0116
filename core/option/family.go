package option

import (
	"net/netip"
	"slices"
)

// Family says which addresses of a name are wanted, and which are tried first:
// "auto", which "" means too, "ipv4", "ipv6", "ipv4-only" or "ipv6-only".
type Family string

// Values returns the five words.
func (Family) Values() []string { return []string{"auto", "ipv4", "ipv6", "ipv4-only", "ipv6-only"} }

// UnmarshalText reads one of them.
func (f *Family) UnmarshalText(text []byte) error { return ReadWord(f, text, f.Values()) }

// Wants reports whether addresses of ip's family are wanted.
func (f Family) Wants(ip netip.Addr) bool {
	if ip.Is4() {
		return f.Wants4()
	}
	return f.Wants6()
}

// Wants4 reports whether IPv4 addresses are wanted.
func (f Family) Wants4() bool { return f != "ipv6-only" }

// Wants6 reports whether IPv6 addresses are wanted.
func (f Family) Wants6() bool { return f != "ipv4-only" }

// First6 reports whether IPv6 addresses come first. reachable tells whether
// there is a way to any, which "auto" goes by; it is not called otherwise.
func (f Family) First6(reachable func() bool) bool {
	switch f {
	case "ipv4", "ipv4-only":
		return false
	case "ipv6", "ipv6-only":
		return true
	}
	return reachable()
}

// Choose drops what is not wanted of ips and brings the family that comes first to
// the front, in place. Within a family the order stays.
func (f Family) Choose(ips []netip.Addr, reachable func() bool) []netip.Addr {
	ips = slices.DeleteFunc(ips, func(ip netip.Addr) bool { return !f.Wants(ip) })
	if len(ips) < 2 {
		return ips
	}
	first6 := f.First6(reachable)
	slices.SortStableFunc(ips, func(a, b netip.Addr) int {
		switch {
		case a.Is4() == b.Is4():
			return 0
		case a.Is4() == first6:
			return 1
		}
		return -1
	})
	return ips
}
