package acl

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a.", 126) + "ab" // 254 bytes
	for _, tc := range []struct{ text, want, err string }{
		{"example.org", "example.org", ""},
		{" Example.ORG. ", "example.org", ""},
		{"*.example.org", "example.org", ""},
		{".example.org", "example.org", ""},
		{"suffix:.example.org", "example.org", ""},
		{"suffix:example.org", "example.org", ""},
		{"org", "org", ""},
		{"_dmarc.example.org", "_dmarc.example.org", ""},
		{"xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai", ""},
		{"cafe.example", "cafe.example", ""},
		{"domain:Ads.Example.", "domain:ads.example", ""},
		{"keyword:Tracker", "keyword:tracker", ""},
		{"keyword:.ads.", "keyword:.ads.", ""},
		{`regexp:^x[0-9]+\.`, `regexp:^x[0-9]+\.`, ""},
		{"regexp:^a:b", "regexp:^a:b", ""},
		{"file:bad.txt", "file:bad.txt", ""},
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"192.0.2.1", "192.0.2.1", ""},
		{"::1", "::1", ""},
		{"fd00::/8", "fd00::/8", ""},
		{"ad::/16", "ad::/16", ""},
		{"::ffff:192.0.2.1", "192.0.2.1", ""},
		{"", "", "neither a name nor an address range"},
		{"*.", "", "neither a name nor an address range"},
		{"example.org..", "", "neither a name nor an address range"},
		{"a..b", "", "neither a name nor an address range"},
		{"a b", "", "neither a name nor an address range"},
		{long, "", "neither a name nor an address range"},
		{"||ads.example^", "", "neither a name nor an address range"},
		{"ads.*.example", "", "neither a name nor an address range"},
		{"пример.рф", "", "write the name as DNS has it"},
		{"domain:*.example.org", "", "neither a name nor an address range"},
		{"domain:192.0.2.1", "", "is not a name"},
		{"domain:127.1", "", "is not a name"},
		{"suffix:::1", "", "is not a name"},
		{"127.1", "", "is not an address range"},
		{"10.0.0.1/8", "", `did you mean "10.0.0.0/8"`},
		{"::ffff:10.0.0.0/104", "", "mixes IPv4 and IPv6"},
		{"fe80::1%eth0", "", "is not an address range"},
		{"https://ads.example/", "", "begins with no known word"},
		{"domian:ads.example", "", "begins with no known word"},
		{"ads.example:443", "", "begins with no known word"},
		{"port:25", "", "allow_ports and deny_ports"},
		{"keyword:", "", "a keyword has 1 to"},
		{"keyword:a/b", "", "which no name has"},
		{"regexp:", "", "has 1 to 255 bytes"},
		{"regexp:" + strings.Repeat("a", 256), "", "has 1 to 255 bytes"},
		{"regexp:a)(b", "", "unexpected )"},
		{"regexp:(?=a)", "", "invalid or unsupported"},
		{"file:", "", "has no path"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var got Target
			err := got.UnmarshalText([]byte(tc.text))
			switch {
			case tc.err != "":
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want %q", err, tc.err)
				}
			case err != nil || got.String() != tc.want:
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestSource(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"10.0.0.0/8", "10.0.0.0/8"}, {"192.0.2.1", "192.0.2.1"}, {"file:a b.txt", "file:a b.txt"},
		{"example.org", ""}, {"file:", ""}, {"10.0.0.1/8", ""},
	} {
		var got Source
		if err := got.UnmarshalText([]byte(tc.text)); (err == nil) != (tc.want != "") || err == nil && got.String() != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.text, got, err, tc.want)
		}
	}
}
