package direct

import (
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// forbidden are addresses that no stranger should reach, one or more of each
// kind.
var forbidden = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255",
	"127.0.0.1", "127.1.2.3", "127.255.255.255", "169.254.0.1", "169.254.169.254",
	"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1",
	"192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
	"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::127.0.0.1", "::ffff:0:127.0.0.1",
	"64:ff9b::1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "100::1",
	"2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2001:db8::1",
	"2002:7f00:1::", "2002:a00:1::1", "3fff::1", "5f00::1",
	"64:ff9b::168.63.129.16", "64:ff9b:1:808:8:800::", "64:ff9b:2::1",
	"2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001:0:a00:1:8000:63bf:f7f7:f7f7", "2002:a83f:8110::1",
	"168.63.129.16", "100.100.100.200", "100.100.2.136", "192.0.0.192", "169.254.42.42", "192.80.8.124", "161.26.0.10", "166.8.0.1",
	"200::1", "201::1", "3ff::1", "400::1", "1fff:ffff::1", "4000::1", "6000::1", "8000::1", "e000::1",
	"fd20:ce::254", "fd00:42::42", "fd00:a9fe:a9fe::1", "fe80::a9fe:a9fe",
	"fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff00::1", "ff02::1", "ff0e::1",
}

// public are addresses that are open, many of them next to closed ranges.
var public = []string{
	"1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
	"126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
	"191.255.255.255", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0",
	"198.17.255.255", "198.20.0.0", "223.255.255.255",
	"168.63.129.15", "168.63.129.17", "192.80.8.123", "161.25.255.255", "161.27.0.0", "166.7.255.255", "166.12.0.0",
	"64:ff9b::8.8.8.8", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:f7f7:f7f7",
	"2000::1", "3ffe::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2a00::1",
}

// judged reports whether guard lets an address pass that is not this machine's.
func judged(t testing.TB) func(netip.Addr) bool {
	d := newDialer(t, new(core.Process)).(*Outbound)
	return func(ip netip.Addr) bool {
		return d.guard(t.Context(), core.TCP, netip.AddrPortFrom(ip, 80)) == nil
	}
}

func TestPublic(t *testing.T) {
	isPublic := judged(t)
	for want, list := range map[bool][]string{false: forbidden, true: public} {
		for _, s := range list {
			ip := netip.MustParseAddr(s)
			if got := isPublic(ip); got != want {
				t.Errorf("%s: got %t, want %t", ip, got, want)
			}
			if ip.Is4() {
				if got := isPublic(netip.AddrFrom16(ip.As16())); got != want {
					t.Errorf("::ffff:%s: got %t, want %t", ip, got, want)
				}
			} else if got := isPublic(ip.WithZone("eth0")); got != want {
				t.Errorf("%s with a zone: got %t, want %t", ip, got, want)
			}
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address counts as public")
	}
}

// TestClosedRanges checks both ends of each closed range.
func TestClosedRanges(t *testing.T) {
	for _, p := range closed {
		if p != p.Masked() {
			t.Errorf("%s has bits beyond its length", p)
		}
		if first := p.Addr(); isPublic(first) {
			t.Errorf("%s: the first address is public", p)
		}
		if end := last(p); isPublic(end) {
			t.Errorf("%s: the last address, %s, is public", p, end)
		}
	}
}

// last returns the last address of p.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}
