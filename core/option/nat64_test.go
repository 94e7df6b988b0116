package option

import (
	"strings"
	"testing"
)

func TestNAT64(t *testing.T) {
	for text, want := range map[string]string{
		"64:ff9b:1:fffe::/96": "", "2001:db8::/32": "", "2001:db8::/33": "no prefix of a NAT64", "10.0.0.0/8": "no prefix of a NAT64",
		"2001:db8::1": "no prefix of a NAT64", "2001:db8::1/96": "did you mean", "x": "is not an address range",
	} {
		var p NAT64
		err := p.UnmarshalText([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if err == nil && (p.String() != text || len(Prefixes([]NAT64{p})) != 1) {
			t.Errorf("%s: got %s", text, p)
		}
	}
}
