package direct

import "net/netip"

// closed are the ranges that clients of a server must not reach by default, although
// they are in IPv4 or in 2000::/3: the ranges of the IANA special-purpose registries that
// are not globally reachable, the multicast ranges, and addresses at which a hosting
// platform serves the machines of a customer alone, as the platform's own documentation
// says. Most platforms serve theirs in ranges of the registries, such as 100.100.100.200 of Alibaba
// and 192.0.0.192 of Oracle.
var closed = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network, RFC 791
	netip.MustParsePrefix("10.0.0.0/8"),       // private, RFC 1918
	netip.MustParsePrefix("100.64.0.0/10"),    // shared by carriers, RFC 6598
	netip.MustParsePrefix("127.0.0.0/8"),      // loopback, RFC 1122
	netip.MustParsePrefix("169.254.0.0/16"),   // link-local, cloud metadata, RFC 3927
	netip.MustParsePrefix("172.16.0.0/12"),    // private, RFC 1918
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments, RFC 6890
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation, RFC 5737
	netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays, RFC 7526
	netip.MustParsePrefix("192.168.0.0/16"),   // private, RFC 1918
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks, RFC 2544
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation, RFC 5737
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation, RFC 5737
	netip.MustParsePrefix("224.0.0.0/4"),      // multicast, RFC 5771
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved and broadcast, RFC 1112
	netip.MustParsePrefix("161.26.0.0/16"),    // IBM Cloud VPC, "IaaS endpoints": name servers, NTP, mirrors
	netip.MustParsePrefix("166.8.0.0/14"),     // IBM Cloud VPC, "Cloud Service Endpoints"
	netip.MustParsePrefix("168.63.129.16/32"), // Azure: the wire server, DHCP, DNS
	netip.MustParsePrefix("192.80.8.124/32"),  // Packet, later Equinix Metal: metadata.packet.net
	netip.MustParsePrefix("2001::/23"),        // protocol assignments, RFC 2928
	netip.MustParsePrefix("2001:db8::/32"),    // documentation, RFC 3849
	netip.MustParsePrefix("3fff::/20"),        // documentation, RFC 9637
}

// global is the range of IPv6 addresses that are assigned to the public Internet, RFC 4291
// §2.4. Outside it are unique local, link-local and multicast addresses, the metadata
// services of AWS, Google Cloud and others, and overlays such as 200::/7.
var global = netip.MustParsePrefix("2000::/3")

// isPublic reports whether ip is an address of the public Internet. An IPv4-mapped IPv6
// address counts as the IPv4 address. What is inside of ip is not looked at.
func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() || ip.Is6() && !global.Contains(ip) {
		return false
	}
	for _, p := range closed {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
