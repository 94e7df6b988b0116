package acl

import (
	"context"
	"log/slog"
	"maps"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// TestMeasure denies by each check, and loads the file again.
func TestMeasure(t *testing.T) {
	env := coretest.Env(t)
	env.Log = slog.New(slog.DiscardHandler)
	o := Options{
		Default: "allow", DenyTargets: targetsOf(t, "example.org"), DenyUsers: []string{"eve"}, DenyPorts: portsOf(t, "25"),
		DenySources: sourcesOf(t, "198.51.100.0/24"),
	}
	load := func() *Policy {
		p, err := New(env, o)
		if err != nil {
			t.Fatal(err)
		}
		return p.(*Policy)
	}
	p := load()
	ask := func(target, user, source string) {
		r := request(t, target)
		r.User, r.Client.Addr = user, coretest.Addr(t, source+":1").AddrPort()
		d := p.Wrap(&coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) { return nil, nil }})
		_, _ = d.DialStream(t.Context(), r)
		_, _ = p.Preview(t.Context(), r, true) // counts nothing
	}
	ask("example.net:80", "alice", "192.0.2.1")
	ask("example.org:80", "alice", "192.0.2.1")
	ask("www.example.org:80", "alice", "192.0.2.1")
	ask("example.net:25", "alice", "192.0.2.1")
	ask("example.net:80", "eve", "192.0.2.1")
	ask("example.net:80", "alice", "198.51.100.1")
	want := map[string]float64{}
	for check, n := range map[string]float64{"source": 1, "user": 1, "target": 2, "port": 1} {
		want[`umbra_policy_refusals_total{policy="test",reason="`+check+`"}`] = n
	}
	if got := coretest.Figures(p); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p = load()
	if got := coretest.Figures(p); !maps.Equal(got, want) {
		t.Errorf("after a reload: got %v, want %v", got, want)
	}
	coretest.TestMeasurer(t, p, func() { ask("example.org:80", "", "192.0.2.1") })
}
