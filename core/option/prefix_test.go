package option_test

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestPrefix(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"::/0", "::/0"},
		{"fd00::/8", "fd00::/8"},
		{"192.0.2.1", "192.0.2.1/32"},
		{"192.0.2.1/32", "192.0.2.1/32"},
		{"2001:db8::1", "2001:db8::1/128"},
		{"::ffff:192.0.2.1", "192.0.2.1/32"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var p option.Prefix
			if err := p.UnmarshalText([]byte(tc.text)); err != nil || p.String() != tc.want {
				t.Errorf("got %v, %v, want %s", p, err, tc.want)
			}
		})
	}
	for _, tc := range []struct{ text, want string }{
		{"", `"" is not an address range; write "10.0.0.0/8" or "fd00::/8"`},
		{"10.0.0.0/33", "is not an address range"},
		{"10.0.0.0/", "is not an address range"},
		{"10.0.0.0/-1", "is not an address range"},
		{"10/8", "is not an address range"},
		{"10.1/16", "is not an address range"},
		{"localhost", "is not an address range"},
		{"fe80::1%eth0", "is not an address range"},
		{"10.0.0.1/8", `"10.0.0.1/8" has bits beyond its prefix; did you mean "10.0.0.0/8"?`},
		{"fd00::1/8", `did you mean "fd00::/8"?`},
		{"::ffff:10.0.0.0/104", "mixes IPv4 and IPv6"},
	} {
		t.Run("not "+tc.text, func(t *testing.T) {
			var p option.Prefix
			err := p.UnmarshalText([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if p.IsValid() {
				t.Errorf("got %v beside the error", p)
			}
		})
	}
}
