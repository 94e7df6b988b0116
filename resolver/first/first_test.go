package first

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDead = errors.New("dead")
	one     = netip.MustParseAddr("192.0.2.1")
	two     = netip.MustParseAddr("192.0.2.2")
)

// start returns a resolver that asks others, which are called a, b and c.
func start(t testing.TB, others ...core.Resolver) core.Resolver {
	t.Helper()
	env := coretest.Env(t)
	known := coretest.Graph{}
	var o Options
	for i, r := range others {
		ref := core.Ref[core.Resolver]('a' + rune(i))
		known[ref] = r
		o.Resolvers = append(o.Resolvers, ref)
	}
	env.Graph = known
	r, err := New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func knows(ip netip.Addr) *coretest.Resolver {
	return &coretest.Resolver{Names: map[string][]netip.Addr{"a.test": {ip}, "empty.test": nil}}
}

func TestLookup(t *testing.T) {
	for _, tc := range []struct {
		name     string
		others   []core.Resolver
		ask      string
		want     []netip.Addr
		notFound bool
		err      error
	}{
		{"the first knows", []core.Resolver{knows(one), knows(two)}, "a.test", []netip.Addr{one}, false, nil},
		{"the second knows", []core.Resolver{&coretest.Resolver{}, knows(two)}, "a.test", []netip.Addr{two}, false, nil},
		{"the first has no address", []core.Resolver{&coretest.Resolver{Names: map[string][]netip.Addr{"a.test": {}}}, knows(two)}, "a.test", []netip.Addr{two}, false, nil},
		{"the first is dead", []core.Resolver{&coretest.Resolver{Err: errDead}, knows(two)}, "a.test", []netip.Addr{two}, false, nil},
		{"no resolver has the name", []core.Resolver{knows(one), knows(two)}, "b.test", nil, true, nil},
		{"no resolver has the name, the first is dead", []core.Resolver{&coretest.Resolver{Err: errDead}, knows(two)}, "b.test", nil, false, errDead},
		{"no resolver has the name, the second is dead", []core.Resolver{knows(one), &coretest.Resolver{Err: errDead}}, "b.test", nil, false, errDead},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := start(t, tc.others...)
			got, err := r.LookupIP(t.Context(), tc.ask)
			dns, ok := errors.AsType[*net.DNSError](err)
			if !slices.Equal(got, tc.want) || (ok && dns.IsNotFound) != tc.notFound || tc.err != nil && !errors.Is(err, tc.err) {
				t.Errorf("got %v, %v, want %v, not found %t, %v", got, err, tc.want, tc.notFound, tc.err)
			}
			if found, err := core.Tell(t.Context(), r, tc.ask); len(found) != len(tc.want) || (err == nil) != (tc.want != nil) {
				t.Errorf("told %v, %v, want %v", found, err, tc.want)
			}
		})
	}
}

// TestCancelled checks that no resolver is queried after the caller has gone.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	last := knows(two)
	if got, err := start(t, knows(one), last).LookupIP(ctx, "a.test"); got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v, want the context's error", got, err)
	}
	if asked := last.Asked(); asked != nil {
		t.Errorf("the second was asked for %v", asked)
	}
}

func TestRefused(t *testing.T) {
	env := coretest.Env(t)
	env.Graph = coretest.Graph{core.Ref[core.Resolver]("a"): knows(one)}
	for _, tc := range []struct {
		refs []core.Ref[core.Resolver]
		text string
	}{{nil, "empty list"}, {[]core.Ref[core.Resolver]{"a", "a"}, "a is listed twice"}, {[]core.Ref[core.Resolver]{"b"}, "unknown"}} {
		if r, err := New(env, Options{Resolvers: tc.refs}); r != nil || err == nil || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%v: got %v, %v, want %q", tc.refs, r, err, tc.text)
		}
	}
}

func TestConformance(t *testing.T) {
	coretest.TestResolver(t, coretest.Names{Known: "a.test", Missing: "b.test"}, func(t testing.TB) core.Resolver {
		return start(t, &coretest.Resolver{}, knows(two))
	})
}
