package inbound

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// site is a process with a file that has one inbound.
type site struct {
	env     core.Env
	options Options
}

// newSite listens at a free port of a host.
func newSite(t testing.TB, host string) *site {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr(host), freePort(t))
	s := &site{env: coretest.Env(t), options: Options{HandshakeTimeout: option.Duration(time.Minute), MaxHandshakes: 64, ClientHandshakes: 64, MaxSessions: 64, ClientSessions: 64}}
	s.options.Listen = option.ListenList{option.ListenOn(at)}
	return s
}

// freePort returns a port that is free for TCP and for UDP.
func freePort(t testing.TB) uint16 {
	t.Helper()
	for {
		at := coretest.FreeAddr(t)
		if c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)); err == nil {
			c.Close()
			return at.Port()
		}
	}
}

// generation is a PacketServer at work.
type generation struct {
	*PacketServer
	host    *host
	serving sync.WaitGroup
}

// start loads the site's file once more. The generation is shut down at the end of
// the test.
func (s *site) start(t testing.TB, cipher core.PacketServer, h *host) *generation {
	t.Helper()
	p, err := NewPacketServer(s.env, s.options, cipher)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := &generation{PacketServer: p, host: h}
	g.handler.Store(&servingPackets{context.Background(), h}) // as Serve is about to do
	g.serving.Go(func() {
		if err := p.Serve(context.Background(), h); err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	t.Cleanup(func() { g.shutdown(t) })
	return g
}

// at returns the first address.
func (g *generation) at() netip.AddrPort { return g.Listening()[0] }

func (g *generation) shutdown(t testing.TB) {
	t.Helper()
	if err := g.Shutdown(context.Background()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	g.serving.Wait()
}

// say sends a datagram of a client to the inbound.
func say(t testing.TB, c *net.UDPConn, to netip.AddrPort, data []byte) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(data, to); err != nil {
		t.Fatal(err)
	}
}

var web = core.AddrFrom(netip.MustParseAddrPort("192.0.2.1:443"))

// A client makes one request for all its datagrams, whose answers reach it.
func TestPacketServer(t *testing.T) {
	site, h := newSite(t, "127.0.0.1"), newHost()
	g := site.start(t, newFakeServer(true), h)
	if !g.ServesPackets() || g.at() != site.options.Listen[0].AddrPort() {
		t.Errorf("got serves UDP %t, at %v, want true, %v", g.ServesPackets(), g.at(), site.options.Listen)
	}
	client := listenPlain(t)
	for _, text := range []string{"one", "two", "three"} {
		say(t, client, g.at(), wire(1, web, text))
		if got := coretest.Await(t, "a datagram", h.came); got != "user1: "+text {
			t.Errorf("got %q, want %q", got, "user1: "+text)
		}
	}
	requests, conns := h.served()
	if len(requests) != 1 {
		t.Fatalf("requests: got %d, want 1", len(requests))
	}
	if r := requests[0]; r.Client.Inbound != "test" || r.User != "user1" || r.Client.Addr != addrOf(client) || r.ID == 0 || r.Flow == nil || r.Target.IsValid() {
		t.Errorf("request: got %+v, want inbound test, user1, client %v, an ID, a flow, no target", r, addrOf(client))
	}
	if n, err := conns[0].WritePackets([]core.Packet{{Addr: web, Data: []byte("answer")}}); n != 1 || err != nil {
		t.Errorf("write: got %d, %v, want 1, nil", n, err)
	}
	if from := hears(t, client, wire(1, web, "answer")); from != g.at() {
		t.Errorf("the answer came from %v, want %v", from, g.at())
	}
}

// Where clients roam, one that changes its address goes on, and answers follow it;
// noise moves nothing. Where they don't, another address is another client.
func TestPacketServerRoams(t *testing.T) {
	for _, tc := range []struct {
		name     string
		roams    bool
		requests int
	}{{"roaming", true, 1}, {"not roaming", false, 2}} {
		t.Run(tc.name, func(t *testing.T) {
			site, h := newSite(t, "127.0.0.1"), newHost()
			g := site.start(t, newFakeServer(tc.roams), h)
			first, second, stranger := listenPlain(t), listenPlain(t), listenPlain(t)
			for _, c := range []*net.UDPConn{first, second} {
				say(t, c, g.at(), wire(1, web, "x"))
				coretest.Await(t, "a datagram", h.came)
			}
			say(t, stranger, g.at(), []byte{0xff})
			say(t, stranger, g.at(), nil)
			say(t, second, g.at(), wire(1, web, "after noise"))
			coretest.Await(t, "a datagram", h.came)
			requests, conns := h.served()
			if len(requests) != tc.requests {
				t.Fatalf("requests: got %d, want %d", len(requests), tc.requests)
			}
			if _, err := conns[0].WritePackets([]core.Packet{{Addr: web, Data: []byte("answer")}}); err != nil {
				t.Fatal(err)
			}
			hearer := second
			if !tc.roams {
				hearer = first
			}
			hears(t, hearer, wire(1, web, "answer"))
		})
	}
}

// burst are datagrams as a socket gives them, "1a" for the text a of session 1, of a
// client with that session's port.
func burst(texts ...string) (ds []netio.Datagram) {
	for _, text := range texts {
		peer := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 4710+uint16(text[0]))
		data := wire(text[0]-'0', web, text[1:])
		if text[0] == 'x' {
			data = []byte{0xff}
		}
		ds = append(ds, netio.Datagram{Peer: peer, Data: data})
	}
	return ds
}

// What a burst has of one session in a row reaches it in one call, in order; noise
// and refused clients between make no difference.
func TestPacketServerGroups(t *testing.T) {
	many := slices.Repeat([]string{"1m"}, netio.MaxBurst)
	for _, tc := range []struct {
		name  string
		burst []string
		want  []string
	}{
		{"one", []string{"1a"}, []string{"user1: a"}},
		{"a run", []string{"1a", "1b", "1c"}, []string{"user1: a b c"}},
		{"two runs", []string{"1a", "1b", "2c"}, []string{"user1: a b", "user2: c"}},
		{"in turns", []string{"1a", "2b", "1c", "2d"}, []string{"user1: a", "user2: b", "user1: c", "user2: d"}},
		{"noise within a run", []string{"x", "1a", "x", "1b", "x"}, []string{"user1: a b"}},
		{"a refused client", []string{"9a", "1b", "9c", "9d", "1e"}, []string{"user1: b", "user1: e"}},
		{"nothing but noise", []string{"x", "x"}, nil},
		{"a full burst", many, []string{"user1:" + strings.Repeat(" m", netio.MaxBurst)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			site, h := newSite(t, "127.0.0.1"), newHost()
			h.Deny = func(c core.Client) error {
				if c.Addr.Port() == 4710+'9' {
					return core.ErrDenied
				}
				return nil
			}
			g := site.start(t, newFakeServer(false), h)
			g.sockets[0].receive(burst(tc.burst...))
			var got []string
			for len(h.came) > 0 {
				got = append(got, <-h.came)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// The gate is asked once for a session. A client that it refuses makes nothing, and
// is asked about again; so is one whose association was rejected.
func TestPacketServerAdmits(t *testing.T) {
	site, h := newSite(t, "127.0.0.1"), newHost()
	var asked []core.Client
	var deny error
	h.Deny = func(c core.Client) error { asked = append(asked, c); return deny }
	cipher := newFakeServer(true)
	g := site.start(t, cipher, h)
	count := func(what string, questions, requests int) {
		t.Helper()
		if made, _ := h.served(); len(asked) != questions || len(made) != requests || len(g.sessions.all) != requests {
			t.Errorf("%s: got %d questions, %d requests, %d sessions, want %d, %d, %[3]d", what, len(asked), len(made), len(g.sessions.all), questions, requests)
		}
	}
	deny = core.ErrDenied
	g.sockets[0].receive(burst("1a", "1b"))
	count("refused", len(asked), 0)
	if len(asked) == 0 || asked[0] != (core.Client{Addr: burst("1a")[0].Peer, Network: "udp", Inbound: "test"}) {
		t.Errorf("asked about %v", asked)
	}
	if cipher.sessions[1].closed.Load() == 0 {
		t.Error("the cipher was not told that the session is refused")
	}
	asked, deny, h.reject = nil, nil, errors.New("no route")
	g.sockets[0].receive(burst("1a"))
	count("rejected", 1, 0)
	asked, h.reject = nil, nil
	g.sockets[0].receive(burst("1a", "1b", "2c", "1d"))
	g.sockets[0].receive(burst("1e", "2f"))
	count("admitted", 2, 2)
}

// A client that moves is asked about again, where clients roam: whom the gate refuses
// is not heard at its new address, and is answered where it was.
func TestPacketServerAdmitsAgain(t *testing.T) {
	for _, roams := range []bool{true, false} {
		site, h := newSite(t, "127.0.0.1"), newHost()
		moved := netip.MustParseAddr("127.0.0.9")
		h.Deny = func(c core.Client) error {
			if c.Addr.Addr() == moved {
				return core.ErrDenied
			}
			return nil
		}
		g := site.start(t, newFakeServer(roams), h)
		client := listenPlain(t)
		here := netio.Datagram{Peer: addrOf(client), Data: wire(1, web, "here")}
		there := netio.Datagram{Peer: netip.AddrPortFrom(moved, 4711), Data: wire(1, web, "there")}
		g.sockets[0].receive([]netio.Datagram{here})
		g.sockets[0].receive([]netio.Datagram{there, here})
		var got []string
		for len(h.came) > 0 {
			got = append(got, <-h.came)
		}
		if want := []string{"user1: here", "user1: here"}; !slices.Equal(got, want) {
			t.Errorf("roaming %t: got %q, want %q", roams, got, want)
		}
		_, conns := h.served()
		if _, err := conns[0].WritePackets([]core.Packet{{Addr: web, Data: []byte("answer")}}); err != nil {
			t.Fatal(err)
		}
		hears(t, client, wire(1, web, "answer"))
	}
}
