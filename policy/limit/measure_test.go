package limit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
)

// TestMeasure reaches each limit, and loads the file again.
func TestMeasure(t *testing.T) {
	env := coretest.Env(t)
	quota := option.Size(100)
	o := Options{
		ConnectionsPerClient: 2, NewPerSecondPerClient: 0.001, NewBurst: 4,
		Users: map[string]User{
			"alice": {Quota: &quota}, "bob": {Connections: new(int)}, "carol": {NewPerSecond: new(float64)}, "dave": {},
		},
	}
	*o.Users["bob"].Connections, *o.Users["carol"].NewPerSecond = 1, 0.001
	o.QuotaPerUser = 50
	p := policy(t, env, o)
	dialer := p.Wrap(&coretest.Dialer{Stream: func(context.Context, *core.Request) (core.Stream, error) {
		near, _ := coretest.Pipe()
		return near, nil
	}})
	admit := func(ip string, want bool) {
		t.Helper()
		if err := p.Admit(core.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 1), Network: core.TCP}); (err == nil) != want {
			t.Errorf("%s: got %v, want it admitted: %t", ip, err, want)
		}
	}
	dial := func(user string, payload int, want bool) *core.Flow {
		t.Helper()
		f := new(core.Flow)
		s, err := dialer.DialStream(t.Context(), &core.Request{Network: core.TCP, User: user, Flow: f, Payload: make([]byte, payload)})
		if (err == nil) != want || err != nil && !errors.Is(err, core.ErrDenied) {
			t.Errorf("%s: got %v, want it served: %t", user, err, want)
		}
		if err == nil {
			s.Close()
		}
		return f
	}
	admit("192.0.2.1", true)
	admit("192.0.2.1", true)
	admit("192.0.2.1", false) // connections
	admit("192.0.2.1", false)
	for range 2 { // the burst is used up
		admit("192.0.2.2", true)
		p.Observe(core.Event{Kind: core.Closed, Client: core.Client{Addr: netip.MustParseAddrPort("192.0.2.2:1"), Network: core.TCP}})
	}
	for range 2 {
		admit("192.0.2.2", true)
		p.Observe(core.Event{Kind: core.Closed, Client: core.Client{Addr: netip.MustParseAddrPort("192.0.2.2:1"), Network: core.TCP}})
	}
	admit("192.0.2.2", false) // rate
	dial("alice", 60, true)
	dial("alice", 60, false) // the payload spends the quota: no refusal of a new connection
	dial("alice", 1, false)
	dial("bob", 0, true)
	dial("bob", 0, false)
	dial("bob", 0, false)
	for range 4 {
		dial("carol", 0, true)
	}
	dial("carol", 0, false)
	dial("eve", 10, true)

	want := map[string]float64{}
	for name, n := range map[string]float64{"client_connections": 2, "client_rate": 1, "user_connections": 2, "user_rate": 1, "quota": 1, "users": 0} {
		want[fmt.Sprintf(`umbra_policy_refusals_total{policy="test",reason=%q}`, name)] = n
	}
	for name, q := range map[string][2]float64{"alice": {100, 120}, "bob": {50, 0}, "carol": {50, 0}, "dave": {50, 0}, "eve": {50, 10}} {
		want[fmt.Sprintf(`umbra_user_quota_bytes{policy="test",user=%q}`, name)] = q[0]
		want[fmt.Sprintf(`umbra_user_quota_used_bytes{policy="test",user=%q}`, name)] = q[1]
	}
	check := func(what string) {
		t.Helper()
		if got := coretest.Figures(p); !maps.Equal(got, want) {
			t.Errorf("%s:\ngot  %v\nwant %v", what, got, want)
		}
	}
	check("each limit was reached")
	p = policy(t, env, o)
	check("after a reload")
	coretest.TestMeasurer(t, p, func() { admit("192.0.2.1", false) })
}

// TestMeasureStore has the figures of the store.
func TestMeasureStore(t *testing.T) {
	p := policy(t, coretest.Env(t), Options{Store: place(t, "file:"+t.TempDir()+"/counts")})
	run(t, p)
	up := func() float64 { return coretest.Figures(p)[`umbra_store_up{policy="test"}`] }
	for deadline := time.Now().Add(patience); up() != 1; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the store is not up")
		}
	}
}
