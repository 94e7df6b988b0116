package direct

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// prefixes reads ranges that are separated by spaces.
func prefixes(t testing.TB, texts string) []option.Prefix {
	t.Helper()
	var all []option.Prefix
	for _, text := range strings.Fields(texts) {
		var p option.Prefix
		if err := p.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// from returns the outbound with source addresses.
func from(t testing.TB, texts string) *Outbound {
	t.Helper()
	out, err := New(coretest.Env(t), Options{From: prefixes(t, texts), Allow: prefixes(t, "0.0.0.0/0 ::/0")})
	if err != nil {
		t.Fatal(err)
	}
	return out.(*Outbound)
}

// of makes a request of a user at an address.
func of(user, client string) *core.Request {
	return &core.Request{User: user, Client: core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(client), 1)}}
}

// TestSources picks one address for each user out of ranges, and the same one each time.
func TestSources(t *testing.T) {
	d := from(t, "192.0.2.10 198.51.100.0/24 2001:db8:5::/64")
	v4, v6 := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for i := range 500 {
		user := fmt.Sprint("user", i)
		first := d.netFor(of(user, "203.0.113.1")).Socket
		if again := d.netFor(of(user, "203.0.113.2")).Socket; again != first {
			t.Fatalf("%s: got %v, then %v", user, first, again)
		}
		v4[first.Source4], v6[first.Source6] = true, true
		in4 := netip.MustParsePrefix("198.51.100.0/24").Contains(first.Source4)
		if !in4 && first.Source4.String() != "192.0.2.10" || !netip.MustParsePrefix("2001:db8:5::/64").Contains(first.Source6) || !first.FreeBind {
			t.Fatalf("%s: got %+v", user, first)
		}
	}
	for _, never := range []string{"198.51.100.0", "198.51.100.255", "2001:db8:5::"} {
		if ip := netip.MustParseAddr(never); v4[ip] || v6[ip] {
			t.Errorf("%s was picked", never)
		}
	}
	if len(v4) < 150 || len(v6) != 500 {
		t.Errorf("got %d and %d addresses of 500 users", len(v4), len(v6))
	}
	if a, b := d.netFor(of("", "2001:db8:9::1")).Socket, d.netFor(of("", "2001:db8:9::2")).Socket; a != b {
		t.Errorf("two addresses of one client: got %v and %v", a, b)
	}
	if got := from(t, "192.0.2.10").netFor(of("alice", "203.0.113.1")).Socket; got.Source4.String() != "192.0.2.10" || got.FreeBind {
		t.Errorf("one address: got %+v", got)
	}
	for _, p := range []string{"192.0.2.0/31", "192.0.2.0/30", "2001:db8::/127"} {
		for i := range 20 {
			got := from(t, p).netFor(of(fmt.Sprint(i), "203.0.113.1")).Socket
			if ip := got.Source(netip.MustParsePrefix(p).Addr()); !netip.MustParsePrefix(p).Contains(ip) || strings.HasSuffix(p, "30") && ip.As4()[3]&3 == 0 {
				t.Errorf("%s: got %v", p, ip)
			}
		}
	}
}

// TestSourceFamilies refuses targets of a family without a source address: they would leave
// from an address that nobody chose.
func TestSourceFamilies(t *testing.T) {
	d := from(t, "192.0.2.10")
	for to, denied := range map[string]bool{"203.0.113.9:1": false, "[2606:4700::1]:1": true} {
		err := d.guard(t.Context(), core.TCP, netip.MustParseAddrPort(to))
		if errors.Is(err, core.ErrDenied) != denied {
			t.Errorf("%s: got %v", to, err)
		}
	}
}

func TestSourceMistakes(t *testing.T) {
	for _, tc := range []struct {
		options Options
		key     string
	}{
		{Options{From: prefixes(t, "0.0.0.0")}, "from"}, {Options{From: prefixes(t, "224.0.0.1")}, "from"},
		{Options{Interface: "an-interface-with-a-long-name"}, "interface"},
	} {
		_, err := New(coretest.Env(t), tc.options)
		if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != tc.key {
			t.Errorf("%+v: got %v, want a mistake in %s", tc.options, err, tc.key)
		}
	}
}
