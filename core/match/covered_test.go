package match

import "testing"

func TestCovered(t *testing.T) {
	for _, tc := range []struct {
		name, of, by string
		want         int
	}{
		{"equal", "a.example\ndomain:b.example\nkeyword:ads\nregexp:^x\n10.0.0.0/8\n", "a.example\ndomain:b.example\nkeyword:ads\nregexp:^x\n10.0.0.0/8\n", 5},
		{"nothing", "a.example\n10.0.0.0/8\n", "", 0},
		{"above", "x.a.example\ndomain:y.a.example\na.example\n", "a.example\n", 3},
		{"a name alone has none below it", "a.example\n", "domain:a.example\n", 0},
		{"a name alone in one alone", "domain:a.example\n", "domain:a.example\n", 1},
		{"a parent in a child", "example\n", "a.example\n", 0},
		{"keyword", "my-ads.example\nkeyword:some-ads\n", "keyword:ads\n", 2},
		{"a longer keyword", "keyword:ads\n", "keyword:some-ads\n", 0},
		{"range", "10.1.0.0/16\n2001:db8:1::/48\n192.0.2.0/24\n", "10.0.0.0/8\n2001:db8::/32\n192.0.2.0/25\n", 2},
		{"another expression", "regexp:^xy\n", "regexp:^x\n", 0},
	} {
		of, err := read(tc.of)
		if err != nil {
			t.Fatal(err)
		}
		by, err := read(tc.by)
		if err != nil {
			t.Fatal(err)
		}
		if got := of.Covered([]*Targets{new(Targets), by}); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}
