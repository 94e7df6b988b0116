package dial_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
)

func TestOwnName(t *testing.T) {
	loopback := addrs("127.0.0.1", "::1")
	for name, want := range map[string][]netip.Addr{
		"localhost": loopback, "LOCALHOST.": loopback, "a.b.localhost": loopback, "a.LocalHost.": loopback,
		"invalid": nil, "a.invalid.": nil, "a.onion": nil, "Onion": nil,
	} {
		ips, ok, err := dial.OwnName(name)
		dns, isDNS := errors.AsType[*net.DNSError](err)
		if !ok || !slices.Equal(ips, want) || (want == nil) != (isDNS && dns.IsNotFound) {
			t.Errorf("%s: got %v, %t, %v, want %v", name, ips, ok, err, want)
		}
	}
	for _, name := range []string{"", ".", "localhost.example", "mylocalhost", "example.com", "invalid.example", "127.1"} {
		if ips, ok, err := dial.OwnName(name); ips != nil || ok || err != nil {
			t.Errorf("%s: got %v, %t, %v, want nothing", name, ips, ok, err)
		}
	}
}

func TestOneOf(t *testing.T) {
	for _, tc := range []struct {
		ips  []netip.Addr
		want string
	}{
		{addrs("192.0.2.1", "192.0.2.2"), "192.0.2.1"},
		{addrs("2001:db8::1", "192.0.2.2", "192.0.2.1"), "192.0.2.2"},
		{addrs("2001:db8::1", "2001:db8::2"), "2001:db8::1"},
		{addrs("2001:db8::1", "::ffff:192.0.2.2"), "::ffff:192.0.2.2"},
	} {
		if got := dial.OneOf(tc.ips); got.String() != tc.want {
			t.Errorf("%v: got %v, want %s", tc.ips, got, tc.want)
		}
	}
}

// teller tells where its one address is from.
type teller struct{ *coretest.Resolver }

func (teller) Tell(context.Context, string) ([]core.Found, error) {
	return []core.Found{{From: "a teller"}}, nil
}

func TestTell(t *testing.T) {
	r := &coretest.Resolver{Names: map[string][]netip.Addr{"a.test": addrs("192.0.2.1", "2001:db8::1")}}
	got, err := core.Tell(t.Context(), r, "a.test")
	if err != nil || len(got) != 2 || got[0] != (core.Found{IP: addrs("192.0.2.1")[0]}) {
		t.Errorf("no teller: got %v, %v, want its addresses", got, err)
	}
	if got, err := core.Tell(t.Context(), r, "b.test"); len(got) != 0 || err == nil {
		t.Errorf("missing: got %v, %v, want its error", got, err)
	}
	if got, err := core.Tell(t.Context(), teller{r}, "a.test"); len(got) != 1 || got[0].From != "a teller" || err != nil {
		t.Errorf("teller: got %v, %v, want what it tells", got, err)
	}
}

// TestWithResolver checks where the name of what is dialled is looked up.
func TestWithResolver(t *testing.T) {
	target, err := core.NewAddr("server.test", 80)
	if err != nil {
		t.Fatal(err)
	}
	r := &coretest.Resolver{Names: map[string][]netip.Addr{"server.test": addrs("192.0.2.1")}}
	if n, ok := dial.WithResolver(dial.Net{}, "resolver.x", r).(dial.Net); !ok || n.Resolver != r {
		t.Errorf("over the bare network: got %v, want core.Net with the resolver", n)
	}
	wire := coretest.NewDialer()
	if got := dial.WithResolver(wire, "resolver.x", nil); got != wire {
		t.Errorf("without a resolver: got %v, want the wire itself", got)
	}
	s, err := dial.WithResolver(wire, "resolver.x", r).DialStream(t.Context(), &core.Request{Target: target, Flow: new(core.Flow)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	requests := wire.Requests()
	if len(requests) != 1 || requests[0].Target != target || !slices.Equal(requests[0].IPs, addrs("192.0.2.1")) {
		t.Errorf("over a hop: got %+v, want one with the name and its address", requests)
	}
}

// TestResolveNothing checks that a name without an address goes no further, where
// another resolver might be asked about it.
func TestResolveNothing(t *testing.T) {
	next := coretest.NewDialer()
	d := dial.Resolve(&coretest.Resolver{Names: map[string][]netip.Addr{"a.test": {}}}, nil).Wrap(next)
	target, err := core.NewAddr("a.test", 80)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.DialStream(t.Context(), &core.Request{Target: target, Flow: new(core.Flow)})
	if dns, ok := errors.AsType[*net.DNSError](err); s != nil || !ok || !dns.IsNotFound || len(next.Requests()) > 0 {
		t.Errorf("got %v, %v and %d requests further on, want not found and none", s, err, len(next.Requests()))
	}
}

// TestResolvePacketsBare checks that over the bare network a datagram goes to an
// address that may be reached, not to the first one.
func TestResolvePacketsBare(t *testing.T) {
	here, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	port := here.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	wire := dial.Net{Control: func(_ context.Context, _ core.Network, to netip.AddrPort) error {
		if to.Addr() != addrs("127.0.0.1")[0] {
			return core.ErrDenied
		}
		return nil
	}}
	r := &coretest.Resolver{Names: map[string][]netip.Addr{"a.test": addrs("10.0.0.1", "2001:db8::1", "127.0.0.1")}}
	c, err := dial.Resolve(r, nil).Wrap(wire).OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	to, err := core.NewAddr("a.test", port)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.WritePackets([]core.Packet{{Addr: to, Data: []byte("x")}}); n != 1 || err != nil {
		t.Fatalf("got %d, %v, want 1", n, err)
	}
	if err := here.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := here.ReadFromUDP(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("got %d bytes, %v, want the datagram", n, err)
	}
}

// TestRoutes checks the answer against a socket's.
func TestRoutes(t *testing.T) {
	c, err := net.Dial("udp6", "[2000::1]:9")
	if err == nil {
		c.Close()
	}
	var r dial.Routes
	for range 2 {
		if got := r.IPv6(); got != (err == nil) {
			t.Errorf("got %t, want %t: a socket said %v", got, err == nil, err)
		}
	}
}
