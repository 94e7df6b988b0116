package core

import (
	"net/netip"
	"slices"
	"testing"
)

// The addresses of RFC 6052 §2.4, and those of the other ranges.
func TestInside(t *testing.T) {
	for _, tc := range []struct {
		known, ip string
		want      []string
		unclear   bool
	}{
		{"2001:db8::/32", "2001:db8:c000:221::", []string{"192.0.2.33"}, false},
		{"2001:db8:100::/40", "2001:db8:1c0:2:21::", []string{"192.0.2.33"}, false},
		{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::", []string{"192.0.2.33"}, false},
		{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::", []string{"192.0.2.33"}, false},
		{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::", []string{"192.0.2.33"}, false},
		{"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33", []string{"192.0.2.33"}, false},
		{"2001:db8:122:344::/96", "2001:db8:122:345::192.0.2.33", nil, false},
		{"2001:db8:122::/48", "2001:db8:122:a00:0:1ff:ffff:ffff", []string{"10.0.0.1"}, false}, // the rest is ignored
		{"", "64:ff9b::10.0.0.1", []string{"10.0.0.1"}, false},
		{"2001:db8::/32", "64:ff9b::10.0.0.1", []string{"10.0.0.1"}, false},
		{"", "64:ff9b::1:10.0.0.1", nil, false},
		{"64:ff9b:1:fffe::/96", "64:ff9b:1:fffe::10.0.0.1", []string{"10.0.0.1"}, false},
		{"64:ff9b:1::/48", "64:ff9b:1:a00:0:100::", []string{"10.0.0.1"}, false},
		{"64:ff9b:1:fffe::/96", "64:ff9b:1::10.0.0.1", []string{"0.0.0.0", "0.0.0.0", "0.0.0.10", "10.0.0.1"}, true},
		{"", "64:ff9b:1:a00:0:100::", []string{"10.0.0.1", "0.0.1.0", "0.1.0.0", "0.0.0.0"}, true},
		{"", "2002:a00:1::1", []string{"10.0.0.1"}, false},
		{"", "2001:0:4136:e378:8000:63bf:f5ff:fffe", []string{"65.54.227.120", "10.0.0.1"}, false},
		{"", "2001:4860:4860::8888", nil, false},
		{"", "fe80::10.0.0.1%eth0", nil, false},
		{"", "::ffff:10.0.0.1", nil, false},
		{"", "10.0.0.1", nil, false},
	} {
		n := new(NAT64)
		if tc.known != "" {
			p := netip.MustParsePrefix(tc.known)
			if !CheckNAT64(p) {
				t.Errorf("%s: got no prefix of NAT64", p)
			}
			n.Set([]netip.Prefix{netip.MustParsePrefix("2001:db8:ffff::/48"), p})
		}
		in := n.Inside(netip.MustParseAddr(tc.ip))
		var got []string
		for _, ip := range in.IPs() {
			got = append(got, ip.String())
		}
		if !slices.Equal(got, tc.want) || in.Unclear != tc.unclear {
			t.Errorf("%s with %q: got %v, unclear %t, want %v, %t", tc.ip, tc.known, got, in.Unclear, tc.want, tc.unclear)
		}
	}
	var none *NAT64
	if in := none.Inside(netip.MustParseAddr("64:ff9b::10.0.0.1")); len(in.IPs()) != 1 {
		t.Errorf("nil: got %v, want one address", in.IPs())
	}
	if in := none.Inside(netip.Addr{}); len(in.IPs()) != 0 {
		t.Errorf("no address: got %v, want none", in.IPs())
	}
}

func TestCheckNAT64(t *testing.T) {
	for text, want := range map[string]bool{
		"2001:db8::/32": true, "2001:db8::/96": true, "2001:db8::/33": false, "2001:db8::/128": false, "10.0.0.0/32": false, "::ffff:0:0/96": false, "::/0": false,
	} {
		if got := CheckNAT64(netip.MustParsePrefix(text)); got != want {
			t.Errorf("%s: got %t, want %t", text, got, want)
		}
	}
}
