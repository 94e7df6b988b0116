package match

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
		{"", "", "want a name or an address range"},
		{"*.", "", "want a name or an address range"},
		{"example.org..", "", "want a name or an address range"},
		{"a..b", "", "want a name or an address range"},
		{"a b", "", "want a name or an address range"},
		{long, "", "want a name or an address range"},
		{"||ads.example^", "", "want a name or an address range"},
		{"ads.*.example", "", "want a name or an address range"},
		{"пример.рф", "", "want its DNS form"},
		{"domain:*.example.org", "", "want a name or an address range"},
		{"domain:192.0.2.1", "", "is not a name"},
		{"domain:127.1", "", "is not a name"},
		{"suffix:::1", "", "is not a name"},
		{"127.1", "", "is not an address range"},
		{"10.0.0.1/8", "", `did you mean "10.0.0.0/8"`},
		{"::ffff:10.0.0.0/104", "", "mixes IPv4 and IPv6"},
		{"fe80::1%eth0", "", "is not an address range"},
		{"https://ads.example/", "", "unknown prefix"},
		{"domian:ads.example", "", "unknown prefix"},
		{"ads.example:443", "", "unknown prefix"},
		{"port:25", "", "allow_ports or deny_ports"},
		{"keyword:", "", "invalid keyword"},
		{"keyword:a/b", "", "can't be part of a name"},
		{"regexp:", "", "want 1 to 255 bytes"},
		{"regexp:" + strings.Repeat("a", 256), "", "want 1 to 255 bytes"},
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
