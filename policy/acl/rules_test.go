package acl

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/follow"
	"github.com/umbra-proxy/umbra/core/match"
	"github.com/umbra-proxy/umbra/core/option"
)

// targetsOf returns a list of targets.
func targetsOf(t testing.TB, texts ...string) []match.Target {
	t.Helper()
	list := make([]match.Target, len(texts))
	for i, text := range texts {
		if err := list[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func sourcesOf(t testing.TB, texts ...string) []match.Source {
	t.Helper()
	list := make([]match.Source, len(texts))
	for i, text := range texts {
		if err := list[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func portsOf(t testing.TB, texts ...string) []option.Ports {
	t.Helper()
	list := make([]option.Ports, len(texts))
	for i, text := range texts {
		if err := list[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func rulesOf(t testing.TB, o Options) *rules {
	t.Helper()
	if o.Default == "" {
		o.Default = "allow"
	}
	l, err := newLists(new(follow.Files), o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.rules()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func addr(t testing.TB, s string) core.Addr {
	t.Helper()
	a, err := core.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestTarget tells what is denied, and by which entry.
func TestTarget(t *testing.T) {
	for _, tc := range []struct {
		name, policy         string
		allow, deny          string // targets
		allowPorts, denyPort string
		want                 map[string]string // reasons, "" where it passes
	}{
		{"no lists", "allow", "", "", "", "", map[string]string{"example.org:80": "", "10.0.0.1:80": ""}},
		{"forbidden_ip", "allow", "", "127.0.0.0/8 ::1", "", "", map[string]string{
			"127.0.0.1:80": "target 127.0.0.0/8", "[::1]:80": "target ::1", "[::ffff:127.0.0.1]:80": "target 127.0.0.0/8", "[::2]:80": "", "128.0.0.1:80": "",
		}},
		{"the address inside counts", "allow", "64:ff9b::/96 10.1.0.0/16", "10.0.0.0/8 192.0.2.0/24", "", "", map[string]string{
			"[64:ff9b::10.0.0.1]:80": "target 10.0.0.0/8", "[64:ff9b::10.1.0.1]:80": "", "[64:ff9b::8.8.8.8]:80": "", "[2002:a00:1::1]:80": "target 10.0.0.0/8",
			"[2001:0:4136:e378:8000:63bf:f5ff:fffe]:80": "target 10.0.0.0/8", "[2001:0:a00:1:8000:63bf:f7f7:f7f7]:80": "target 10.0.0.0/8",
			"[64:ff9b:1:a00:0:100::]:80": "target 10.0.0.0/8", "[64:ff9b:1::10.0.0.1]:80": "target 10.0.0.0/8", "[64:ff9b:1::8.8.8.8]:80": "",
		}},
		{"the address inside is allowed", "deny", "10.0.0.0/8", "2002::/16", "", "", map[string]string{
			"[64:ff9b::10.0.0.1]:80": "", "[64:ff9b::8.8.8.8]:80": "target in no allow list", "[2002:a00:1::1]:80": "target 2002::/16",
			"[2001:0:a00:1:8000:63bf:f7f7:f7f7]:80": "target in no allow list", "[64:ff9b:1::10.0.0.1]:80": "target in no allow list",
		}},
		{"names", "allow", "", "example.org domain:ads.example keyword:track regexp:^x[0-9]+\\.", "", "", map[string]string{
			"example.org:80": "target suffix:.example.org", "WWW.Example.Org.:80": "target suffix:.example.org", "xexample.org:80": "",
			"ads.example:80": "target domain:ads.example", "ADS.EXAMPLE.:80": "target domain:ads.example", "a.ads.example:80": "",
			"My-TRACKER.example:80": "target keyword:track", "X12.example:80": `target regexp:^x[0-9]+\.`, "x12:80": "", "x12.:80": "",
		}},
		{"the narrowest entry is told", "allow", "", "org example.org 10.0.0.0/8 10.1.0.0/16", "", "", map[string]string{
			"a.example.org:1": "target suffix:.example.org", "b.org:1": "target suffix:.org", "10.1.2.3:1": "target 10.1.0.0/16", "10.2.0.1:1": "target 10.0.0.0/8",
		}},
		{"allow wins", "allow", "good.example.org 10.1.0.0/16", "example.org 10.0.0.0/8", "", "", map[string]string{
			"good.example.org:1": "", "a.good.example.org:1": "", "bad.example.org:1": "target suffix:.example.org",
			"10.1.2.3:1": "", "10.2.2.3:1": "target 10.0.0.0/8", "192.0.2.1:1": "",
		}},
		{"deny by default", "deny", "example.org 10.1.0.0/16", "bad.example.org 10.1.1.0/24", "", "", map[string]string{
			"example.org:1": "", "example.net:1": "target in no allow list", "10.1.2.3:1": "", "10.2.2.3:1": "target in no allow list",
			"bad.example.org:1": "", "10.1.1.1:1": "",
		}},
		{"deny by default, ports alone", "deny", "", "example.org", "443 8000-8100", "", map[string]string{
			"example.net:443": "", "example.net:8100": "", "example.net:8101": "port 8101", "example.org:443": "target suffix:.example.org", "10.0.0.1:80": "port 80",
		}},
		{"ports", "allow", "example.org", "", "25", "25 6881-6889", map[string]string{
			"a.example:6881": "port 6881", "a.example:6889": "port 6889", "a.example:6890": "", "a.example:25": "", "example.org:6885": "port 6885",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{Default: tc.policy}
			for _, set := range []struct {
				text string
				list *[]match.Target
			}{{tc.allow, &o.AllowTargets}, {tc.deny, &o.DenyTargets}} {
				if set.text != "" {
					*set.list = targetsOf(t, strings.Fields(set.text)...)
				}
			}
			if tc.allowPorts != "" {
				o.AllowPorts = portsOf(t, strings.Fields(tc.allowPorts)...)
			}
			o.DenyPorts = portsOf(t, strings.Fields(tc.denyPort)...)
			r := rulesOf(t, o)
			for target, want := range tc.want {
				got := ""
				if why, ok := r.target(addr(t, target)); !ok {
					got = why.String()
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", target, got, want)
				}
			}
		})
	}
}

func TestWho(t *testing.T) {
	for _, tc := range []struct {
		name, client, user string
		o                  Options
		want               string
	}{
		{"no lists", "192.0.2.1", "", Options{}, ""},
		{"source", "10.1.2.3", "", Options{DenySources: sourcesOf(t, "10.0.0.0/8")}, "source 10.0.0.0/8"},
		{"mapped source", "::ffff:10.1.2.3", "", Options{DenySources: sourcesOf(t, "10.0.0.0/8")}, "source 10.0.0.0/8"},
		{"source with a zone", "fe80::1%eth0", "", Options{DenySources: sourcesOf(t, "fe80::/10")}, "source fe80::/10"},
		{"source inside", "64:ff9b::10.1.2.3", "", Options{DenySources: sourcesOf(t, "10.0.0.0/8")}, "source 10.0.0.0/8"},
		{"allowed source inside", "64:ff9b::10.1.2.3", "", Options{Default: "deny", AllowSources: sourcesOf(t, "10.0.0.0/8")}, ""},
		{"allowed source", "10.1.2.3", "", Options{DenySources: sourcesOf(t, "10.0.0.0/8"), AllowSources: sourcesOf(t, "10.1.0.0/16")}, ""},
		{"source in no list", "192.0.2.1", "", Options{Default: "deny", AllowSources: sourcesOf(t, "10.0.0.0/8")}, "source in no allow list"},
		{"user", "192.0.2.1", "eve", Options{DenyUsers: []string{"eve"}}, `user "eve"`},
		{"another user", "192.0.2.1", "Eve", Options{DenyUsers: []string{"eve"}}, ""},
		{"allowed user", "192.0.2.1", "eve", Options{DenyUsers: []string{"eve"}, AllowUsers: []string{"eve"}}, ""},
		{"user in no list", "192.0.2.1", "bob", Options{Default: "deny", AllowUsers: []string{"eve"}}, `user "bob"`},
		{"no user", "192.0.2.1", "", Options{Default: "deny", AllowUsers: []string{"eve"}}, `user ""`},
		{"an allowed user from a denied source", "10.1.2.3", "eve", Options{AllowUsers: []string{"eve"}, DenySources: sourcesOf(t, "10.0.0.0/8")}, "source 10.0.0.0/8"},
		{"targets say nothing of a client", "10.1.2.3", "eve", Options{Default: "deny", AllowTargets: targetsOf(t, "example.org")}, ""},
		{"an empty allow list denies all", "10.1.2.3", "eve", Options{Default: "deny", AllowUsers: []string{}}, `user "eve"`},
		{"no address", "", "", Options{DenySources: sourcesOf(t, "0.0.0.0/0", "::/0")}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ip, _ := netip.ParseAddr(tc.client)
			got := ""
			if why, ok := rulesOf(t, tc.o).who(ip, tc.user); !ok {
				got = why.String()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestOpen judges the addresses of names.
func TestOpen(t *testing.T) {
	for _, tc := range []struct{ name, policy, allow, deny, host, ips, want string }{
		{"nothing denied", "allow", "", "", "a.example", "10.0.0.1 192.0.2.1", "10.0.0.1 192.0.2.1"},
		{"rebinding", "allow", "", "10.0.0.0/8", "a.example", "10.0.0.1", "target 10.0.0.0/8"},
		{"rebinding by a mapped address", "allow", "", "10.0.0.0/8", "a.example", "::ffff:10.0.0.1", "target 10.0.0.0/8"},
		{"one of two", "allow", "", "10.0.0.0/8", "a.example", "10.0.0.1 192.0.2.1", "192.0.2.1"},
		{"the last of three", "allow", "", "10.0.0.0/8", "a.example", "192.0.2.1 192.0.2.2 10.0.0.1", "192.0.2.1 192.0.2.2"},
		{"a name that is denied", "allow", "192.0.2.0/24", "a.example", "a.example", "192.0.2.1", "target suffix:.a.example"},
		{"a name that is allowed does not open a range", "allow", "a.example", "10.0.0.0/8", "a.example", "10.0.0.1", "target 10.0.0.0/8"},
		{"a range does", "allow", "10.1.0.0/16", "10.0.0.0/8", "a.example", "10.1.0.1 10.2.0.1", "10.1.0.1"},
		{"deny by default, the name is allowed", "deny", "a.example", "", "a.example", "192.0.2.1", "192.0.2.1"},
		{"deny by default, an address is allowed", "deny", "192.0.2.0/24", "", "a.example", "198.51.100.1 192.0.2.1", "192.0.2.1"},
		{"deny by default, neither is", "deny", "192.0.2.0/24", "", "a.example", "198.51.100.1", "target in no allow list"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{Default: tc.policy, DenyTargets: targetsOf(t, strings.Fields(tc.deny)...)}
			if tc.allow != "" {
				o.AllowTargets = targetsOf(t, strings.Fields(tc.allow)...)
			}
			var ips []netip.Addr
			for _, s := range strings.Fields(tc.ips) {
				ips = append(ips, netip.MustParseAddr(s))
			}
			before := slices.Clone(ips)
			open, why := rulesOf(t, o).open(tc.host, ips)
			got := strings.Trim(fmt.Sprint(open), "[]")
			if len(open) == 0 {
				got = why.String()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if !slices.Equal(ips, before) {
				t.Errorf("the addresses of the request were changed: got %v, want %v", ips, before)
			}
		})
	}
}

// naive is the rules as they are documented, word by word.
func naive(o Options, target core.Addr) bool {
	in := func(list []match.Target) bool {
		name := strings.ToLower(strings.TrimSuffix(target.Name(), "."))
		for _, e := range list {
			hit := false
			word, text, _ := strings.Cut(e.String(), ":")
			switch {
			case e.IsRange():
				var p option.Prefix
				_ = p.UnmarshalText([]byte(e.String()))
				hit = target.IP().IsValid() && p.Contains(target.IP())
			case word == "domain":
				hit = name == text
			case word == "keyword":
				hit = name != "" && strings.Contains(name, text)
			case word == "regexp":
				hit = name != "" && regexp.MustCompile(text).MatchString(name)
			default:
				hit = name == e.String() || strings.HasSuffix(name, "."+e.String())
			}
			if hit {
				return true
			}
		}
		return false
	}
	switch {
	case in(o.AllowTargets):
		return true
	case in(o.DenyTargets):
		return false
	}
	return o.Default == "allow" || o.AllowTargets == nil
}

// randomName returns a name of few letters, so that names meet.
func randomName(r *rand.Rand) string {
	labels := make([]string, 1+r.IntN(4))
	for i := range labels {
		labels[i] = strings.Repeat(string(rune('a'+r.IntN(3))), 1+r.IntN(2))
	}
	return strings.Join(labels, ".")
}

// TestRandomRules compares random rules with the naive ones.
func TestRandomRules(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	ip := func() netip.Addr {
		if r.IntN(3) == 0 {
			return netip.AddrFrom16([16]byte{0: 0xfd, 1: byte(r.IntN(2)), 15: byte(r.IntN(4))})
		}
		return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(2)), byte(r.IntN(4))})
	}
	list := func() []match.Target {
		var texts []string
		for range r.IntN(12) {
			switch name := randomName(r); r.IntN(6) {
			case 0:
				texts = append(texts, name)
			case 1:
				texts = append(texts, "domain:"+name)
			case 2:
				texts = append(texts, "keyword:"+name)
			case 3:
				texts = append(texts, "regexp:^"+strings.ReplaceAll(name, ".", `\.`)+"+")
			default:
				ip := ip()
				texts = append(texts, netip.PrefixFrom(ip, r.IntN(ip.BitLen()+1)).Masked().String())
			}
		}
		return targetsOf(t, texts...)
	}
	for round := range 2000 {
		o := Options{Default: []string{"allow", "deny"}[r.IntN(2)], DenyTargets: list()}
		if r.IntN(2) == 0 {
			o.AllowTargets = list()
		}
		rules := rulesOf(t, o)
		for range 30 {
			target := core.NewIPAddr(ip(), 1)
			if r.IntN(2) == 0 {
				name := randomName(r)
				if r.IntN(2) == 0 {
					name = strings.ToUpper(name) + "."
				}
				target = addr(t, name+":1")
			}
			why, got := rules.target(target)
			if want := naive(o, target); got != want {
				t.Fatalf("seed %d, round %d: default %s, allow %v, deny %v: %s: got %t (%s), want %t", seed, round, o.Default, o.AllowTargets, o.DenyTargets, target, got, why, want)
			}
		}
	}
}

// What passes costs no memory. Nor do expressions, but the race detector empties their
// pool; BenchmarkPatterns tells.
func TestAllocations(t *testing.T) {
	r := rulesOf(t, Options{
		DenyTargets: targetsOf(t, "example.org", "domain:ads.example", "keyword:tracker", "10.0.0.0/8"),
		DenySources: sourcesOf(t, "192.0.2.0/24"), DenyUsers: []string{"eve"}, DenyPorts: portsOf(t, "25"),
	})
	name, ip := addr(t, "WWW.Example.Net.:443"), addr(t, "198.51.100.1:443")
	ips := []netip.Addr{ip.IP()}
	client := netip.MustParseAddr("203.0.113.1")
	got := testing.AllocsPerRun(1000, func() {
		r.who(client, "bob")
		r.target(name)
		r.target(ip)
		r.open(name.Name(), ips)
	})
	if got != 0 {
		t.Errorf("got %g allocations, want none", got)
	}
}
