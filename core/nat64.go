package core

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
)

// NAT64 finds the IPv4 addresses inside of IPv6 addresses: of NAT64, 6to4 and Teredo. A
// packet to such an IPv6 address ends at the IPv4 address, so that is the one to judge.
// The zero NAT64, and nil, know the well-known prefix of NAT64 and no other.
type NAT64 struct {
	known atomic.Pointer[[]netip.Prefix] // the longest first
}

// NAT64Of returns the NAT64 of a process.
func NAT64Of(p *Process) *NAT64 { return Shared[NAT64](p) }

// Set sets the prefixes that this machine's network translates, beside 64:ff9b::/96.
// Each is as CheckNAT64 wants it.
func (n *NAT64) Set(prefixes []netip.Prefix) {
	all := slices.Clone(prefixes)
	slices.SortStableFunc(all, func(a, b netip.Prefix) int { return cmp.Compare(b.Bits(), a.Bits()) })
	n.known.Store(&all)
}

// CheckNAT64 reports whether a prefix can be one of NAT64: IPv6, with one of the lengths
// of RFC 6052 §2.2.
func CheckNAT64(p netip.Prefix) bool {
	return p.Addr().Is6() && !p.Addr().Is4In6() && slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits())
}

var (
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	localNAT64     = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixToFour      = netip.MustParsePrefix("2002::/16")      // RFC 3056
	teredo         = netip.MustParsePrefix("2001::/32")      // RFC 4380
)

// Inside are the IPv4 addresses inside of an IPv6 address: one, or the server and the
// client of Teredo.
type Inside struct {
	ips [4]netip.Addr
	n   int
	// Unclear says that the address is of 64:ff9b:1::/48, and that its prefix was not
	// Set. The IPs are those that it may hold, one for each length of a prefix.
	Unclear bool
}

// IPs returns the addresses; none if there is none inside.
func (i *Inside) IPs() []netip.Addr { return i.ips[:i.n] }

// Inside returns the IPv4 addresses inside of an address.
func (n *NAT64) Inside(ip netip.Addr) (in Inside) {
	if !ip.Is6() || ip.Is4In6() {
		return in
	}
	ip = ip.WithZone("")
	b := ip.As16()
	if n != nil {
		if known := n.known.Load(); known != nil {
			for _, p := range *known {
				if p.Contains(ip) {
					in.add(rfc6052(b, p.Bits()))
					return in
				}
			}
		}
	}
	switch {
	case wellKnownNAT64.Contains(ip):
		in.add(rfc6052(b, 96))
	case localNAT64.Contains(ip):
		in.Unclear = true
		for _, bits := range []int{48, 56, 64, 96} {
			in.add(rfc6052(b, bits))
		}
	case sixToFour.Contains(ip):
		in.add([4]byte(b[2:6]))
	case teredo.Contains(ip):
		in.add([4]byte(b[4:8]))
		in.add([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
	}
	return in
}

func (i *Inside) add(b [4]byte) {
	i.ips[i.n] = netip.AddrFrom4(b)
	i.n++
}

// rfc6052 returns the IPv4 address behind a prefix: its octets follow the prefix, and
// leave out octet 8 (RFC 6052 §2.2). What follows it is ignored, as translators do.
func rfc6052(b [16]byte, bits int) (v4 [4]byte) {
	at := bits / 8
	for i := range v4 {
		if at == 8 {
			at++
		}
		v4[i] = b[at]
		at++
	}
	return v4
}
