package option_test

import (
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestPorts(t *testing.T) {
	for _, tc := range []struct {
		text        string
		first, last uint16
		back        string // String, if it is not text
	}{
		{"20000-20100", 20000, 20100, ""},
		{"1-65535", 1, 65535, ""},
		{"4711", 4711, 4711, ""},
		{"4711-4711", 4711, 4711, "4711"},
		{" 20000 - 20100 ", 20000, 20100, "20000-20100"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var p option.Ports
			if err := p.UnmarshalText([]byte(tc.text)); err != nil {
				t.Fatal(err)
			}
			n := int(tc.last) - int(tc.first) + 1
			if !p.IsValid() || p.Len() != n {
				t.Errorf("got valid %t, %d ports, want true, %d", p.IsValid(), p.Len(), n)
			}
			for i, want := range map[int]uint16{0: tc.first, n - 1: tc.last, n: tc.first, 2*n - 1: tc.last, 3 * n: tc.first} {
				if got := p.At(i); got != want {
					t.Errorf("port %d: got %d, want %d", i, got, want)
				}
			}
			back := tc.back
			if back == "" {
				back = tc.text
			}
			if got := p.String(); got != back {
				t.Errorf("String: got %q, want %q", got, back)
			}
			var again option.Ports
			if err := again.UnmarshalText([]byte(p.String())); err != nil || again != p {
				t.Errorf("read again: got %v, %v, want %v", again, err, p)
			}
		})
	}
	var none option.Ports
	if none.IsValid() || none.Len() != 0 || none.String() != "" {
		t.Errorf("zero: got valid %t, %d ports, %q, want none", none.IsValid(), none.Len(), none)
	}
}

func TestPortsRefuses(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", `port "" is not a number from 1 to 65535`},
		{"-", `port "" is not`},
		{"20000-", `port "" is not`},
		{"-20000", `port "" is not`},
		{"0", `port "0" is not`},
		{"0-100", `port "0" is not`},
		{"1-65536", `port "65536" is not`},
		{"1-2-3", `port "2-3" is not`},
		{"1,2", `port "1,2" is not`},
		{"dns", `port "dns" is not`},
		{"20100-20000", "the range 20100-20000 begins above its end; write 20000-20100"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var p option.Ports
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
