package option_test

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestNameServer(t *testing.T) {
	for _, tc := range []struct{ text, scheme, addr, back string }{
		{"8.8.8.8", "udp", "8.8.8.8:53", "udp://8.8.8.8"},
		{"8.8.8.8:5353", "udp", "8.8.8.8:5353", "udp://8.8.8.8:5353"},
		{"udp://8.8.8.8:53", "udp", "8.8.8.8:53", "udp://8.8.8.8"},
		{"dns.example", "udp", "dns.example:53", "udp://dns.example"},
		{"2001:db8::1", "udp", "[2001:db8::1]:53", "udp://[2001:db8::1]"},
		{"[2001:db8::1]", "udp", "[2001:db8::1]:53", "udp://[2001:db8::1]"},
		{"[2001:db8::1]:54", "udp", "[2001:db8::1]:54", "udp://[2001:db8::1]:54"},
		{"::ffff:192.0.2.1", "udp", "192.0.2.1:53", "udp://192.0.2.1"},
		{"tcp://8.8.8.8", "tcp", "8.8.8.8:53", "tcp://8.8.8.8"},
		{"tls://1.1.1.1", "tls", "1.1.1.1:853", "tls://1.1.1.1"},
		{"tls://dns.example:443", "tls", "dns.example:443", "tls://dns.example:443"},
		{"https://dns.example/dns-query", "https", "dns.example:443", "https://dns.example/dns-query"},
		{"https://[2001:db8::1]:8443/a/b", "https", "[2001:db8::1]:8443", "https://[2001:db8::1]:8443/a/b"},
		{"https://1.1.1.1/", "https", "1.1.1.1:443", "https://1.1.1.1/"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var n option.NameServer
			if err := n.UnmarshalText([]byte(tc.text)); err != nil {
				t.Fatal(err)
			}
			if n.Scheme() != tc.scheme || n.Addr().String() != tc.addr || n.String() != tc.back {
				t.Errorf("got %s, %s, %s, want %s, %s, %s", n.Scheme(), n.Addr(), n, tc.scheme, tc.addr, tc.back)
			}
			var again option.NameServer
			if err := again.UnmarshalText([]byte(n.String())); err != nil || again != n {
				t.Errorf("read again: got %v, %v, want %v", again, err, n)
			}
		})
	}
	var none option.NameServer
	if none.String() != "" {
		t.Errorf("zero: got %q, want nothing", none)
	}
}

func TestNameServerURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://dns.example/dns-query":  "https://dns.example:443/dns-query",
		"https://[2001:db8::1]:8443/a/b": "https://[2001:db8::1]:8443/a/b",
	} {
		var n option.NameServer
		if err := n.UnmarshalText([]byte(text)); err != nil || n.URL() != want {
			t.Errorf("%s: got %s, %v, want %s", text, n.URL(), err, want)
		}
	}
}

func TestNameServerRefuses(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", "empty host name"},
		{"udp://", "empty host name"},
		{"http://1.1.1.1/dns-query", "unknown scheme"},
		{"TLS://1.1.1.1", "unknown scheme"},
		{"quic://1.1.1.1", "unknown scheme"},
		{"8.8.8.8:0", `port "0" is not`},
		{"8.8.8.8:65536", `port "65536" is not`},
		{"8.8.8.8:", `port "" is not`},
		{"8.8.8.8:dns", `port "dns" is not`},
		{"dns example", "has the character"},
		{"fe80::1%eth0", "a zone"},
		{"user@dns.example", "has the character"},
		{"tls://1.1.1.1/dns-query", "which only https:// can have"},
		{"https://dns.example", `most servers have "https://dns.example/dns-query"`},
		{"https:///dns-query", "empty host name"},
		{"https://dns.example/dns-query{?dns}", "sent by POST"},
		{"https://dns.example/dns-query?a=b", "sent by POST"},
		{"https://dns.example/dns-query#a", "sent by POST"},
		{"https://dns.example/a b", "not valid in a URL"},
		{"https://dns.example/%zz", "not valid in a URL"},
		{"2001:db8::zz:53x", "port"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var n option.NameServer
			if err := n.UnmarshalText([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v, want an error with %q", n, err, tc.want)
			}
			if n != (option.NameServer{}) {
				t.Errorf("got %v, want nothing set", n)
			}
		})
	}
}

// FuzzNameServer checks that what is read can be written and read again.
func FuzzNameServer(f *testing.F) {
	for _, s := range []string{"8.8.8.8", "[::1]:53", "tls://dns.example", "https://a/b", "https://[::1]:1/%41", "tcp://a_b.:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var n, again option.NameServer
		if n.UnmarshalText([]byte(text)) != nil {
			return
		}
		if !n.Addr().IsValid() || n.Addr().Port() == 0 {
			t.Errorf("%q: got the address %v", text, n.Addr())
		}
		if err := again.UnmarshalText([]byte(n.String())); err != nil || again != n {
			t.Errorf("%q: got %v, then %v, %v", text, n, again, err)
		}
	})
}
