package option_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/option"
)

func parseIPs(list ...string) []netip.Addr {
	var ips []netip.Addr
	for _, s := range list {
		ips = append(ips, netip.MustParseAddr(s))
	}
	return ips
}

func TestFamily(t *testing.T) {
	mixed := parseIPs("192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2")
	fourFirst := parseIPs("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")
	sixFirst := parseIPs("2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2")
	for _, tc := range []struct {
		text      string
		reachable bool
		want      []netip.Addr
	}{
		{"auto", true, sixFirst},
		{"auto", false, fourFirst},
		{"ipv4", true, fourFirst},
		{"ipv6", false, sixFirst},
		{"ipv4-only", true, fourFirst[:2]},
		{"ipv6-only", false, sixFirst[:2]},
	} {
		var f option.Family
		if err := f.UnmarshalText([]byte(tc.text)); err != nil {
			t.Fatal(err)
		}
		if got := f.Choose(slices.Clone(mixed), func() bool { return tc.reachable }); !slices.Equal(got, tc.want) {
			t.Errorf("%s, reachable %t: got %v, want %v", tc.text, tc.reachable, got, tc.want)
		}
	}
	if got := option.Family("").Choose(slices.Clone(mixed), func() bool { return true }); !slices.Equal(got, sixFirst) {
		t.Errorf("zero: got %v, want %v", got, sixFirst)
	}
	var f option.Family
	if err := f.UnmarshalText([]byte("IPv4")); err == nil || !strings.Contains(err.Error(), "ipv4-only") {
		t.Errorf("got %v, want the words that there are", err)
	}
}

func TestIP(t *testing.T) {
	for text, want := range map[string]string{"192.0.2.1": "192.0.2.1", "2001:DB8::1": "2001:db8::1", "::ffff:192.0.2.1": "192.0.2.1"} {
		var ip option.IP
		if err := ip.UnmarshalText([]byte(text)); err != nil || ip.String() != want {
			t.Errorf("%s: got %v, %v, want %s", text, ip, err, want)
		}
	}
	for _, text := range []string{"", "192.0.2", "192.0.2.0/24", "[::1]", "fe80::1%eth0", "localhost"} {
		var ip option.IP
		if err := ip.UnmarshalText([]byte(text)); err == nil || ip.IsValid() {
			t.Errorf("%s: got %v, %v, want an error", text, ip, err)
		}
	}
}
