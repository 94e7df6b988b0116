package dns

import (
	"context"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options returns the options of a file that names servers and nothing else.
func options(t testing.TB, servers ...string) Options {
	t.Helper()
	return Options{
		Servers: nameServers(t, servers...), Strategy: "failover", Prefer: "ipv4",
		Timeout: option.Duration(2e9), MaxQueries: 256, CacheEntries: 4096, CacheBytes: 4 << 20,
		MaxTTL: option.Duration(24 * 3600e9), NegativeTTL: option.Duration(900e9), ServeStale: option.Duration(3600e9), Prefetch: true,
	}
}

func nameServers(t testing.TB, servers ...string) []option.NameServer {
	t.Helper()
	all := make([]option.NameServer, len(servers))
	for i, s := range servers {
		if err := all[i].UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// start returns the resolver for o, which ends with the test.
func start(t testing.TB, o Options) *Resolver {
	t.Helper()
	return startIn(t, coretest.Env(t), o)
}

func startIn(t testing.TB, env core.Env, o Options) *Resolver {
	t.Helper()
	made, err := New(env, o)
	if err != nil {
		t.Fatal(err)
	}
	r := made.(*Resolver)
	t.Cleanup(func() {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// addrs parses addresses.
func addrs(list ...string) []netip.Addr {
	var ips []netip.Addr
	for _, s := range list {
		ips = append(ips, netip.MustParseAddr(s))
	}
	return ips
}

// bootstrap returns the option for one server.
func bootstrap(name string, ips ...string) map[string][]option.IP {
	list := make([]option.IP, len(ips))
	for i, s := range ips {
		list[i].Addr = netip.MustParseAddr(s)
	}
	return map[string][]option.IP{name: list}
}
