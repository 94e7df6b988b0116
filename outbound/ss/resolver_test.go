package ss

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestResolver checks that the resolver of the table finds the server's name, and
// not that of the target.
func TestResolver(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.9")
	names := &coretest.Resolver{Names: map[string][]netip.Addr{"server.test": {ip}}}
	env := coretest.Env(t)
	env.Graph = coretest.Graph{
		core.Ref[core.Cipher]("house"):   newCipher(t, "a password"),
		core.Ref[core.Resolver]("names"): names,
	}
	var server option.Server
	if err := server.UnmarshalText([]byte("server.test:8388")); err != nil {
		t.Fatal(err)
	}
	out, err := New(env, Options{Server: server, Cipher: "house", Resolver: "names"})
	if err != nil {
		t.Fatal(err)
	}
	wire := new(recorder)
	d, err := out.Over(wire)
	if err != nil {
		t.Fatal(err)
	}
	target, err := core.NewAddr("target.test", 443)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.DialStream(t.Context(), &core.Request{Target: target, Flow: new(core.Flow)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := wire.requests[0]; got.Target != server.Addr() || !slices.Equal(got.IPs, []netip.Addr{ip}) {
		t.Errorf("got %v at %v, want %v at %v", got.Target, got.IPs, server, ip)
	}
	if got, want := names.Asked(), []string{"server.test"}; !slices.Equal(got, want) {
		t.Errorf("asked for %v, want %v", got, want)
	}
	if _, err := New(env, Options{Server: server, Cipher: "house", Resolver: "none"}); err == nil {
		t.Error("unknown resolver: got nil, want an error")
	}
}
