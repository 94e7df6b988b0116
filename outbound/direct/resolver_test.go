package direct

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestResolver checks that the resolver of the table finds names, that what it
// finds is judged, and that it is not asked after one of the chain.
func TestResolver(t *testing.T) {
	at := listen(t, "127.0.0.1:0")
	names := &coretest.Resolver{Names: map[string][]netip.Addr{
		"here.test": {at.Addr()}, "private.test": {netip.MustParseAddr("10.0.0.1")},
	}}
	env := coretest.Env(t)
	env.Graph = coretest.Graph{core.Ref[core.Resolver]("names"): names}
	out, err := New(env, Options{Resolver: "names", Allow: []option.Prefix{{Prefix: netip.MustParsePrefix("127.0.0.1/32")}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := out.Over(dial.Net{})
	if err != nil {
		t.Fatal(err)
	}
	target := func(name string) core.Addr {
		a, err := core.NewAddr(name, at.Port())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	reached(t, d, &core.Request{Target: target("here.test")})
	denied(t, d, &core.Request{Target: target("private.test")}, "10.0.0.1 is not a public address")
	reached(t, d, &core.Request{Target: target("known.test"), IPs: []netip.Addr{at.Addr()}})
	if got, want := names.Asked(), []string{"here.test", "private.test"}; !slices.Equal(got, want) {
		t.Errorf("asked for %v, want %v", got, want)
	}
	if _, err := New(env, Options{Resolver: "none"}); err == nil {
		t.Error("unknown resolver: got nil, want an error")
	}
}
