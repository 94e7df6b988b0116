package option_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestListen(t *testing.T) {
	for _, tc := range []struct {
		text string
		want string // AddrPort
		back string // String, if it is not text
	}{
		{"127.0.0.1:1080", "127.0.0.1:1080", ""},
		{"[::1]:1080", "[::1]:1080", ""},
		{"0.0.0.0:1", "0.0.0.0:1", ""},
		{":8388", "[::]:8388", ""},
		{"[::]:8388", "[::]:8388", ":8388"},
		{"[::ffff:127.0.0.1]:65535", "127.0.0.1:65535", "127.0.0.1:65535"},
		{"[fe80::1%eth0]:80", "[fe80::1%eth0]:80", ""},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var l option.Listen
			if err := l.UnmarshalText([]byte(tc.text)); err != nil {
				t.Fatal(err)
			}
			if got := l.AddrPort(); got != netip.MustParseAddrPort(tc.want) || !l.IsValid() {
				t.Errorf("got %v, valid %t, want %s", got, l.IsValid(), tc.want)
			}
			back := tc.back
			if back == "" {
				back = tc.text
			}
			if got := l.String(); got != back {
				t.Errorf("String: got %q, want %q", got, back)
			}
			var again option.Listen
			if err := again.UnmarshalText([]byte(l.String())); err != nil || again != l {
				t.Errorf("read again: got %v, %v, want %v", again, err, l)
			}
		})
	}
	var none option.Listen
	if none.IsValid() || none.String() != "" {
		t.Errorf("zero: got valid %t, %q, want false and nothing", none.IsValid(), none)
	}
}

func TestListenRefuses(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", "is not an address to listen on"},
		{"8388", "is not an address to listen on"},
		{"127.0.0.1", "is not an address to listen on"},
		{"::1:80", "is not an address to listen on"},
		{"127.0.0.1:", `port "" is not a number from 1 to 65535`},
		{":0", `port "0" is not`},
		{":65536", `port "65536" is not`},
		{":-1", `port "-1" is not`},
		{":8388.5", `port "8388.5" is not`},
		{":http", `port "http" is not`},
		{":80 ", `port "80 " is not`},
		{"127.1:80", `"127.1" is not an IP address and not a name`},
		{"*:80", `"*" is not an IP address and not a name`},
		{"127.0.0.0x1:80", `"127.0.0.0x1" is not`},
		{"exa mple:80", `"exa mple" is not`},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var l option.Listen
			err := l.UnmarshalText([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if l.IsValid() {
				t.Errorf("got %v beside the error", l)
			}
		})
	}
}

func TestListenConflicts(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"127.0.0.1:80", "[::1]:80", false},
		{":80", "127.0.0.1:80", true},
		{":80", "[::1]:80", true},
		{":80", "0.0.0.0:80", true},
		{":80", ":81", false},
		{"0.0.0.0:80", "127.0.0.1:80", true},
		{"0.0.0.0:80", "[::1]:80", false},
	} {
		t.Run(tc.a+" "+tc.b, func(t *testing.T) {
			var a, b option.Listen
			if err := a.UnmarshalText([]byte(tc.a)); err != nil {
				t.Fatal(err)
			}
			if err := b.UnmarshalText([]byte(tc.b)); err != nil {
				t.Fatal(err)
			}
			if a.Conflicts(b) != tc.want || b.Conflicts(a) != tc.want {
				t.Errorf("got %t and %t, want %t", a.Conflicts(b), b.Conflicts(a), tc.want)
			}
		})
	}
}

func TestServer(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"example.net:8388", "example.net:8388"},
		{"192.0.2.1:1", "192.0.2.1:1"},
		{"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1:80"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var s option.Server
			if err := s.UnmarshalText([]byte(tc.text)); err != nil {
				t.Fatal(err)
			}
			if s.String() != tc.want || s.Addr().String() != tc.want {
				t.Errorf("got %q, %v, want %s", s, s.Addr(), tc.want)
			}
		})
	}
	var none option.Server
	if none.String() != "" || none.Addr().IsValid() {
		t.Errorf("zero: got %q, %v, want nothing", none, none.Addr())
	}
}

func TestServerRefuses(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", "is not a server address"},
		{"example.net", "is not a server address"},
		{":8388", "is not a server address"},
		{"2001:db8::1:80", "is not a server address"},
		{"example.net:0", `port "0" is not a number from 1 to 65535`},
		{"example.net:ss", `port "ss" is not`},
		{"exa mple.net:80", `host name "exa mple.net" has the character ' '`},
		{"http://example.net:80", "is not a server address"},
		{"[fe80::1%eth0]:80", "has the character"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var s option.Server
			err := s.UnmarshalText([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "malformed") {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
