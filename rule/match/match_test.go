package match

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/match"
	"github.com/umbra-proxy/umbra/core/option"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list reads a list of texts that are separated by spaces.
func list[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](t testing.TB, texts string) []T {
	t.Helper()
	var all []T
	for _, text := range strings.Fields(texts) {
		var v T
		if err := P(&v).UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// ruleOf returns a rule whose chain is never dialled.
func ruleOf(t testing.TB, o Options) *Rule {
	t.Helper()
	r, err := New(coretest.Env(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return r.(*Rule)
}

// request makes a request of a client.
func request(network core.Network, client, user, inbound string) *core.Request {
	return &core.Request{
		Network: network, User: user,
		Client: core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(client), 1), Network: network, Inbound: inbound},
	}
}

func TestJudge(t *testing.T) {
	targets := func(texts string) []match.Target { return list[match.Target](t, texts) }
	ports := func(texts string) []option.Ports { return list[option.Ports](t, texts) }
	sources := func(texts string) []match.Source { return list[match.Source](t, texts) }
	alice := request(core.TCP, "192.0.2.7", "alice", "socks5")
	udp := request(core.UDP, "2001:db8::7", "", "ss")
	const fails, holds, needs = core.RuleFails, core.RuleHolds, core.RuleNeedsIPs
	for _, tc := range []struct {
		name    string
		options Options
		r       *core.Request
		to      string
		ips     string
		want    core.Judgement
	}{
		{"no list", Options{}, alice, "a.example:1", "", holds},
		{"name", Options{Targets: targets("corp.example")}, alice, "git.Corp.example.:22", "", holds},
		{"another name", Options{Targets: targets("corp.example")}, alice, "git.example:22", "", fails},
		{"port", Options{Ports: ports("22 80-90")}, alice, "a.example:88", "", holds},
		{"another port", Options{Ports: ports("22 80-90")}, alice, "a.example:91", "", fails},
		{"not this port", Options{NotPorts: ports("22")}, alice, "a.example:22", "", fails},
		{"not that port", Options{NotPorts: ports("22")}, alice, "a.example:23", "", holds},
		{"a list of two", Options{Targets: targets("corp.example"), Ports: ports("22")}, alice, "corp.example:23", "", fails},
		{"user", Options{Users: []string{"alice"}}, alice, "a.example:1", "", holds},
		{"no user", Options{Users: []string{"alice"}}, udp, "a.example:1", "", fails},
		{"not this user", Options{NotUsers: []string{"alice"}}, alice, "a.example:1", "", fails},
		{"source", Options{Sources: sources("192.0.2.0/24")}, alice, "a.example:1", "", holds},
		{"another source", Options{Sources: sources("192.0.2.0/24")}, udp, "a.example:1", "", fails},
		{"not this source", Options{NotSources: sources("2001:db8::/32")}, udp, "a.example:1", "", fails},
		{"inbound", Options{Inbounds: []core.Ref[core.Inbound]{"ss"}}, udp, "a.example:1", "", holds},
		{"another inbound", Options{Inbounds: []core.Ref[core.Inbound]{"ss"}}, alice, "a.example:1", "", fails},
		{"not this inbound", Options{NotInbounds: []core.Ref[core.Inbound]{"ss"}}, udp, "a.example:1", "", fails},
		{"network", Options{Networks: []string{"tcp"}}, alice, "a.example:1", "", holds},
		{"another network", Options{Networks: []string{"tcp"}}, udp, "a.example:1", "", fails},
		{"not this network", Options{NotNetworks: []string{"udp"}}, udp, "a.example:1", "", fails},
		{"range", Options{Targets: targets("10.0.0.0/8")}, alice, "10.1.2.3:1", "", holds},
		{"another range", Options{Targets: targets("10.0.0.0/8")}, alice, "11.1.2.3:1", "", fails},
		{"range and a name", Options{Targets: targets("10.0.0.0/8")}, alice, "a.example:1", "", needs},
		{"range and a name that is listed", Options{Targets: targets("10.0.0.0/8 a.example")}, alice, "a.example:1", "", holds},
		{"range and known addresses", Options{Targets: targets("10.0.0.0/8")}, alice, "a.example:1", "192.0.2.1 10.0.0.1", holds},
		{"range and other addresses", Options{Targets: targets("10.0.0.0/8")}, alice, "a.example:1", "192.0.2.1", fails},
		{"range, but another port", Options{Targets: targets("10.0.0.0/8"), Ports: ports("22")}, alice, "a.example:1", "", fails},
		{"not in a range", Options{NotTargets: targets("10.0.0.0/8")}, alice, "a.example:1", "", needs},
		{"not in a range, known to be", Options{NotTargets: targets("10.0.0.0/8")}, alice, "a.example:1", "10.0.0.1", fails},
		{"not in a range, known not to be", Options{NotTargets: targets("10.0.0.0/8")}, alice, "a.example:1", "192.0.2.1", holds},
		{"not a name", Options{Targets: targets("example"), NotTargets: targets("news.example")}, alice, "x.news.example:1", "", fails},
		{"a mapped address", Options{Targets: targets("10.0.0.0/8")}, alice, "[::ffff:10.0.0.1]:1", "", holds},
		{"an address inside", Options{Targets: targets("10.0.0.0/8")}, alice, "[64:ff9b::10.0.0.1]:1", "", holds},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var ips []netip.Addr
			for _, ip := range strings.Fields(tc.ips) {
				ips = append(ips, netip.MustParseAddr(ip))
			}
			r, to := ruleOf(t, tc.options), coretest.Addr(t, tc.to)
			if got := r.Judge(tc.r, to, ips); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
			if got, why := r.Explain(tc.r, to, ips); got != tc.want || got == fails && (len(why) == 0 || why[len(why)-1].Holds) {
				t.Errorf("Explain: got %d, %+v, want %d and a reason", got, why, tc.want)
			}
		})
	}
}

// TestShare wants a share of all clients, and the same ones each time.
func TestShare(t *testing.T) {
	var five, half Share
	if err := five.UnmarshalText([]byte("5%")); err != nil {
		t.Fatal(err)
	}
	if err := half.UnmarshalText([]byte("50 %")); err != nil {
		t.Fatal(err)
	}
	const clients = 20_000
	for _, tc := range []struct {
		share Share
		want  float64
	}{{five, 0.05}, {half, 0.5}, {Share{}, 1}} {
		r := ruleOf(t, Options{Share: tc.share})
		in := 0
		for i := range clients {
			q := request(core.TCP, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String(), "", "in")
			first := r.Judge(q, core.Addr{}, nil)
			q.Client.Addr = netip.AddrPortFrom(q.Client.Addr.Addr(), 999) // another connection
			if again := r.Judge(q, core.Addr{}, nil); again != first {
				t.Fatalf("%s: a client is in it at one time only", tc.share)
			}
			if first == core.RuleHolds {
				in++
			}
		}
		if got := float64(in) / clients; got < tc.want-0.02 || got > tc.want+0.02 {
			t.Errorf("%s: got %.3f of the clients", tc.share, got)
		}
	}
	r := ruleOf(t, Options{Share: half})
	by := func(client, user string) core.Judgement {
		return r.Judge(request(core.TCP, client, user, ""), core.Addr{}, nil)
	}
	for i := range 50 {
		user := fmt.Sprint("user", i)
		if by("192.0.2.1", user) != by("2001:db8::1", user) {
			t.Errorf("%s is in the share at one address only", user)
		}
		if a, b := fmt.Sprintf("2001:db8:0:%x::1", i), fmt.Sprintf("2001:db8:0:%x::2", i); by(a, "") != by(b, "") {
			t.Errorf("%s and %s are not one client", a, b)
		}
	}
}

// TestRandom compares random rules with what they say, word by word.
func TestRandom(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(from ...string) string {
		var some []string
		for _, s := range from {
			if r.IntN(3) == 0 {
				some = append(some, s)
			}
		}
		return strings.Join(some, " ")
	}
	names := []string{"a.example", "b.example", "c.a.example", "example"}
	for round := range 3000 {
		var o Options
		in, out := pick(append(names, "keyword:b.e", "domain:a.example")...), pick(names...)
		o.Targets, o.NotTargets = list[match.Target](t, in), list[match.Target](t, out)
		ports := pick("1", "2-3")
		o.Ports = list[option.Ports](t, ports)
		users := pick("alice", "bob")
		o.Users = strings.Fields(users)
		if users == "" {
			o.Users = nil
		}
		q := request(core.TCP, "192.0.2.1", []string{"", "alice", "bob"}[r.IntN(3)], "in")
		to := coretest.Addr(t, fmt.Sprintf("%s:%d", names[r.IntN(3)], 1+r.IntN(4)))
		below := func(texts string) bool {
			for _, text := range strings.Fields(texts) {
				word, rest, _ := strings.Cut(text, ":")
				switch {
				case word == "keyword" && strings.Contains(to.Name(), rest), word == "domain" && to.Name() == rest,
					to.Name() == text, strings.HasSuffix(to.Name(), "."+text):
					return true
				}
			}
			return false
		}
		want := (in == "" || below(in)) && !below(out) &&
			(ports == "" || strings.Contains(ports, "1") && to.Port() == 1 || strings.Contains(ports, "2-3") && (to.Port() == 2 || to.Port() == 3)) &&
			(users == "" || q.User != "" && strings.Contains(users, q.User))
		if got := ruleOf(t, o).Judge(q, to, nil) == core.RuleHolds; got != want {
			t.Fatalf("seed %d, round %d: targets %q, not %q, ports %q, users %q: %s by %q: got %t, want %t", seed, round, in, out, ports, users, to, q.User, got, want)
		}
	}
}

// TestFiles changes a list while the rule runs. A mistake leaves the last good one.
func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("a.example\n")
	synctest.Test(t, func(t *testing.T) {
		r := ruleOf(t, Options{Targets: list[match.Target](t, "file:"+path)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		q := request(core.TCP, "192.0.2.1", "", "in")
		for _, step := range []struct{ text, in string }{{"a.example\n", "a"}, {"b.example\n", "b"}, {"no good\n", "b"}, {"c.example\n", "c"}} {
			write(step.text)
			time.Sleep(3 * time.Second)
			for _, name := range []string{"a", "b", "c"} {
				if got := r.Judge(q, coretest.Addr(t, name+".example:1"), nil) == core.RuleHolds; got != (name == step.in) {
					t.Errorf("after %q: %s.example: got %t", step.text, name, got)
				}
			}
		}
		cancel()
		<-done
	})
}

// TestExplain tells why a rule holds or not.
func TestExplain(t *testing.T) {
	o := Options{
		Targets: list[match.Target](t, "other.example corp.example 10.0.0.0/8"), NotTargets: list[match.Target](t, "news.corp.example"),
		Ports: list[option.Ports](t, "22 443"), Users: []string{"alice"},
	}
	for _, tc := range []struct{ user, to, want string }{
		{"alice", "git.corp.example:22", "ports.0: 22 · users.0: \"alice\" · targets.1: corp.example"},
		{"alice", "x.news.corp.example:443", "ports.1: 443 · users.0: \"alice\" · targets.1: corp.example · not not_targets.0: news.corp.example"},
		{"alice", "10.1.1.1:22", "ports.0: 22 · users.0: \"alice\" · targets.2: 10.0.0.0/8"},
		{"alice", "a.example:80", "not ports: none of 2 entries"},
		{"bob", "a.example:22", "ports.0: 22 · not users: none of 1 entry"},
		{"alice", "a.example:22", "ports.0: 22 · users.0: \"alice\" · not targets: it depends on the addresses of a.example"},
	} {
		_, why := ruleOf(t, o).Explain(request(core.TCP, "192.0.2.1", tc.user, "in"), coretest.Addr(t, tc.to), nil)
		var parts []string
		for _, w := range why {
			part := w.Key + ": " + w.Text
			if !w.Holds {
				part = "not " + part
			}
			parts = append(parts, part)
		}
		if got := strings.Join(parts, " · "); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.to, got, tc.want)
		}
	}
}

// TestHiddenBy compares a rule with one before it.
func TestHiddenBy(t *testing.T) {
	targets := func(texts string) []match.Target { return list[match.Target](t, texts) }
	for _, tc := range []struct {
		name           string
		earlier, later Options
		want           string
	}{
		{"the same", Options{Targets: targets("a.example b.example")}, Options{Targets: targets("a.example b.example")}, "2 of 2"},
		{"some", Options{Targets: targets("a.example")}, Options{Targets: targets("x.a.example b.example")}, "1 of 2"},
		{"all", Options{}, Options{Targets: targets("a.example b.example")}, "2 of 2"},
		{"all of one without targets", Options{}, Options{Users: []string{"alice"}}, "1 of 1"},
		{"another user", Options{Users: []string{"bob"}}, Options{Users: []string{"alice"}}, "0 of 1"},
		{"a user before", Options{Users: []string{"alice"}, Targets: targets("a.example")}, Options{Targets: targets("a.example")}, "0 of 1"},
		{"the same user", Options{Users: []string{"alice"}, Targets: targets("a.example")}, Options{Users: []string{"alice"}, Targets: targets("a.example")}, "1 of 1"},
		{"an exception before", Options{NotPorts: list[option.Ports](t, "1"), Targets: targets("a.example")}, Options{Targets: targets("a.example")}, "0 of 1"},
		{"targets before", Options{Targets: targets("a.example")}, Options{}, "0 of 1"},
	} {
		hidden, of := ruleOf(t, tc.later).HiddenBy(ruleOf(t, tc.earlier))
		if got := fmt.Sprintf("%d of %d", hidden, of); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// BenchmarkJudge asks rules about names that are in none of their lists.
func BenchmarkJudge(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		path := filepath.Join(b.TempDir(), "list.txt")
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "name%d.example\n", i)
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		r := ruleOf(b, Options{Targets: list[match.Target](b, "file:"+path), Ports: list[option.Ports](b, "443")})
		q := request(core.TCP, "192.0.2.1", "alice", "in")
		asked := make([]core.Addr, 1<<12)
		for i := range asked {
			asked[i] = coretest.Addr(b, fmt.Sprintf("www.name%d.test:443", i*n/len(asked)))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Judge(q, asked[i%len(asked)], nil)
			}
		})
	}
}
