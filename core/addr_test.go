package core_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

func TestNewAddr(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, tc := range []struct {
		name string
		host string
		want string // of String, "" for an error
	}{
		{"name", "example.com", "example.com:80"},
		{"one letter", "a", "a:80"},
		{"one label", "localhost", "localhost:80"},
		{"case is kept", "Example.COM", "Example.COM:80"},
		{"trailing dot", "example.com.", "example.com.:80"},
		{"underscore", "_dns.resolver_1.arpa", "_dns.resolver_1.arpa:80"},
		{"punycode", "xn--bcher-kva.example", "xn--bcher-kva.example:80"},
		{"hyphens", "-a-.b", "-a-.b:80"},
		{"longest label", label + ".com", label + ".com:80"},
		{"longest name", coretest.Name(253), coretest.Name(253) + ":80"},
		{"longest name and a dot", coretest.Name(253) + ".", coretest.Name(253) + ".:80"},
		{"ipv4", "192.0.2.7", "192.0.2.7:80"},
		{"ipv6", "2001:db8::1", "[2001:db8::1]:80"},
		{"ipv6 written long", "2001:0DB8:0:0:0:0:0:1", "[2001:db8::1]:80"},
		{"mapped ipv4", "::ffff:192.0.2.7", "192.0.2.7:80"},
		{"old form of two numbers", "127.1", "127.1:80"},
		{"old form of one number", "2130706433", "2130706433:80"},
		{"old form in hex", "0x7f.1", "0x7f.1:80"},
		{"old form in octal", "0177.0.0.1", "0177.0.0.1:80"},
		{"ipv4 and a dot", "127.0.0.1.", "127.0.0.1.:80"},

		{"empty", "", ""},
		{"dot", ".", ""},
		{"two dots at the end", "a..", ""},
		{"empty label", "a..b", ""},
		{"dot in front", ".a", ""},
		{"255 dots", strings.Repeat(".", 255), ""},
		{"label too long", label + "a.com", ""},
		{"name too long", coretest.Name(253) + "a", ""},
		{"NUL", "a\x00b", ""},
		{"space", "a b", ""},
		{"line break", "a\r\nb", ""},
		{"slash", "a/b", ""},
		{"colon", "a:80", ""},
		{"percent", "a%b", ""},
		{"at sign", "user@a", ""},
		{"UTF-8", "bücher.example", ""},
		{"byte over 127", "a\xffb", ""},
		{"brackets", "[::1]", ""},
		{"ipv6 with a zone", "fe80::1%eth0", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := core.NewAddr(tc.host, 80)
			if tc.want == "" {
				if !errors.Is(err, core.ErrMalformed) || got.IsValid() {
					t.Errorf("%q: got %v, %v, want ErrMalformed", tc.host, got, err)
				}
				return
			}
			if err != nil || got.String() != tc.want {
				t.Errorf("%q: got %v, %v, want %s", tc.host, got, err, tc.want)
			}
		})
	}
}

// TestAddrErrors checks that an error shows what is wrong with a name as a person wrote it.
func TestAddrErrors(t *testing.T) {
	for _, tc := range []struct{ host, want string }{
		{"bücher.example", `host name "bücher.example" has the character 'ü'; its form for DNS begins with xn--`},
		{"a\xffb", `host name "a\xffb" has the byte 0xff`},
		{"a b", `host name "a b" has the character ' '`},
		{"a\nb", `host name "a\nb" has the character '\n'`},
	} {
		if _, err := core.NewAddr(tc.host, 80); err == nil || !strings.HasSuffix(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %s", tc.host, err, tc.want)
		}
	}
}

func TestAddrParts(t *testing.T) {
	name, err := core.NewAddr("example.com", 443)
	if err != nil {
		t.Fatal(err)
	}
	if name.Name() != "example.com" || name.Host() != "example.com" || name.Port() != 443 {
		t.Errorf("name: got %q, %q, %d", name.Name(), name.Host(), name.Port())
	}
	if name.IP().IsValid() || name.AddrPort().IsValid() || !name.IsValid() {
		t.Errorf("name: got IP %v, valid %t, want none, true", name.IP(), name.IsValid())
	}
	ip := core.AddrFrom(netip.MustParseAddrPort("[2001:db8::1]:53"))
	if ip.Name() != "" || ip.Host() != "2001:db8::1" || ip.Port() != 53 {
		t.Errorf("IP: got %q, %q, %d", ip.Name(), ip.Host(), ip.Port())
	}
	if want := netip.MustParseAddrPort("[2001:db8::1]:53"); ip.AddrPort() != want || ip.IP() != want.Addr() || !ip.IsValid() {
		t.Errorf("IP: got %v, valid %t, want %v", ip.AddrPort(), ip.IsValid(), want)
	}
	if (core.Addr{}).IsValid() {
		t.Error("the zero Addr is valid")
	}
}

// Addrs are keys of maps: one target has one value.
func TestAddrsCompare(t *testing.T) {
	want := core.AddrFrom(netip.MustParseAddrPort("192.0.2.7:80"))
	for _, s := range []string{"192.0.2.7:80", "[::ffff:192.0.2.7]:80", "[::ffff:c000:207]:80"} {
		if got, err := core.ParseAddr(s); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", s, got, err, want)
		}
	}
	if got := core.AddrFrom(netip.MustParseAddrPort("[::ffff:192.0.2.7]:80")); got != want {
		t.Errorf("AddrFrom a mapped address: got %v, want %v", got, want)
	}
	zoned := core.AddrFrom(netip.MustParseAddrPort("[fe80::1%eth0]:80"))
	if plain := core.AddrFrom(netip.MustParseAddrPort("[fe80::1]:80")); zoned != plain {
		t.Errorf("AddrFrom with a zone: got %v, want %v", zoned, plain)
	}
}

func TestParseAddr(t *testing.T) {
	for _, s := range []string{"example.com:443", "192.0.2.7:0", "[2001:db8::1]:65535", "a.:1"} {
		t.Run(s, func(t *testing.T) {
			if got, err := core.ParseAddr(s); err != nil || got.String() != s {
				t.Errorf("got %v, %v, want %s", got, err, s)
			}
		})
	}
	for _, s := range []string{
		"", ":", ":80", "a", "a:", "a:b", "a:-1", "a:+1", "a:65536", "a: 80", "a:80 ", "a:0x50",
		"::1:80", "[::1]", "[::1]80", "[]:80", "a b:80", "[fe80::1%eth0]:80",
	} {
		t.Run("not "+s, func(t *testing.T) {
			if got, err := core.ParseAddr(s); !errors.Is(err, core.ErrMalformed) || got.IsValid() {
				t.Errorf("got %v, %v, want ErrMalformed", got, err)
			}
		})
	}
}
