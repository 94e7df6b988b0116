package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// listenAt sets the addresses that the site's inbound listens on, at one free port.
func (s *site) listenAt(t testing.TB, hosts ...string) (at []netip.AddrPort) {
	t.Helper()
	s.options.Listen = nil
	port := freePort(t)
	for _, host := range hosts {
		var l option.Listen
		if err := l.UnmarshalText([]byte(net.JoinHostPort(host, fmt.Sprint(port)))); err != nil {
			t.Fatal(err)
		}
		s.options.Listen = append(s.options.Listen, l)
		at = append(at, l.AddrPort())
	}
	return at
}

// An inbound serves TCP and UDP on all of its addresses, and gives all of them back.
func TestListenList(t *testing.T) {
	site, h := newSite(t, "127.0.0.1"), newHost()
	want := site.listenAt(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	in := newBoth(t, site)
	if err := in.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := in.(both).Listening(); !slices.Equal(got, want) {
		t.Errorf("listening: got %v, want %v", got, want)
	}
	if got := in.(both).streams.(served).Listening(); !slices.Equal(got, want) {
		t.Errorf("listening, TCP: got %v, want %v", got, want)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := in.Serve(context.Background(), h); err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	for i, at := range want {
		say(t, listenPlain(t), at, wire(byte(i+1), web, "x"))
		coretest.Await(t, "a datagram", h.came)
		c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		h.WaitEnds(t, i+1)
	}
	if err := in.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	serving.Wait()
	for _, at := range want {
		for _, network := range []core.Network{core.TCP, core.UDP} {
			if netio.SocketsOf(site.env.Process).Has(network, at) {
				t.Errorf("%s %v: got listening after the shutdown", network, at)
			}
		}
	}
	if requests, _ := h.served(); len(requests) != len(want) || slices.ContainsFunc(requests, func(r *core.Request) bool { return r.Flow.Cause() != core.ErrShutdown }) {
		t.Errorf("got %d sessions, some not ended by the shutdown, want %d that are", len(requests), len(want))
	}
}

// Each address that can't be listened on is named by its place in the list, and the others
// are given back.
func TestListenListInUse(t *testing.T) {
	site := newSite(t, "127.0.0.1")
	at := site.listenAt(t, "127.0.0.1", "127.0.0.2", "192.0.2.77")
	taken, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p, err := NewPacketServer(site.env, site.options, newFakeServer(true))
	if err != nil {
		t.Fatal(err)
	}
	joined, ok := p.Listen(t.Context()).(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 2 {
		t.Fatalf("listen: got %v, want two errors", joined)
	}
	for i, want := range []struct {
		key   string
		cause error
	}{{"listen.1", syscall.EADDRINUSE}, {"listen.2", syscall.EADDRNOTAVAIL}} {
		var option *core.OptionError
		if err := joined.Unwrap()[i]; !errors.As(err, &option) || option.Key != want.key || !errors.Is(err, want.cause) {
			t.Errorf("got %v, want an error for %s, %v", err, want.key, want.cause)
		}
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if netio.SocketsOf(site.env.Process).Has(core.UDP, at[0]) {
		t.Errorf("%v: got listening after the shutdown", at[0])
	}
}

func TestListenNothing(t *testing.T) {
	site := newSite(t, "127.0.0.1")
	site.options.Listen = nil
	var option *core.OptionError
	if _, err := NewPacketServer(site.env, site.options, newFakeServer(true)); !errors.As(err, &option) || option.Key != "listen" {
		t.Errorf("got %v, want an error for listen", err)
	}
}

// A name stands for its addresses of both families. An address that is in the list too is
// listened on once.
func TestListenName(t *testing.T) {
	six, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		six.Close()
	}
	site, h := newSite(t, "127.0.0.1"), newHost()
	first := site.listenAt(t, "127.0.0.1", "localhost")[0]
	want := []netip.AddrPort{first}
	if err == nil { // a machine without IPv6 leaves its address out
		want = append(want, netip.AddrPortFrom(netip.IPv6Loopback(), first.Port()))
	}
	g := site.start(t, newFakeServer(true), h)
	if got := g.Listening(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A name that does not exist is an error, which names it.
func TestListenNoName(t *testing.T) {
	site := newSite(t, "127.0.0.1")
	site.listenAt(t, "nowhere.invalid")
	p, err := NewPacketServer(site.env, site.options, newFakeServer(true))
	if err != nil {
		t.Fatal(err)
	}
	var dns *net.DNSError
	if err := p.Listen(t.Context()); !errors.As(err, &dns) || dns.Name != "nowhere.invalid" {
		t.Errorf("listen: got %v, want a DNSError of nowhere.invalid", err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// resolver returns fixed addresses for every name.
type resolver []string

func (r resolver) LookupIP(context.Context, string) (ips []netip.Addr, err error) {
	for _, ip := range r {
		ips = append(ips, netip.MustParseAddr(ip))
	}
	return ips, nil
}

// Of a name's addresses those that this machine lacks are left out, if it has one. A name
// that would open the inbound to all networks is refused, and so is one of whose addresses
// another program has taken.
func TestListenNameAddresses(t *testing.T) {
	for _, tc := range []struct {
		name     string
		resolver resolver
		at       []string
		err      string // contained in the only error
		log      int
	}{
		{"all", resolver{"127.0.0.2", "::ffff:127.0.0.3"}, []string{"127.0.0.2", "127.0.0.3"}, "", 0},
		{"one is missing", resolver{"192.0.2.77", "127.0.0.2"}, []string{"127.0.0.2"}, "", 1},
		{"all are missing", resolver{"192.0.2.77"}, nil, "this machine does not have the address; if it gets it later, set free_bind = true", 0},
		{"no addresses", nil, nil, "look up the name: it has no addresses", 0},
		{"every address", resolver{"127.0.0.2", "0.0.0.0"}, nil, "the name leads to 0.0.0.0", 0},
		{"every address of both families", resolver{"::"}, nil, "the name leads to ::", 0},
		{"multicast", resolver{"224.0.0.1"}, nil, "the name leads to 224.0.0.1", 0},
		{"one is taken", resolver{"127.0.0.2", "127.0.0.9"}, []string{"127.0.0.2"}, "address already in use", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			site, lines := newSite(t, "127.0.0.1"), new(coretest.Lines)
			site.env.Log = slog.New(slog.NewTextHandler(lines, nil))
			site.listenAt(t, "proxy.example")
			port := site.options.Listen[0].Port()
			taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9), Port: int(port)})
			if err != nil {
				t.Skip("another program has the port") // of 127.0.0.9 alone
			}
			defer taken.Close()
			sockets := netio.SocketsOf(site.env.Process)
			of := leases[*netio.PacketListener]{env: site.env, network: core.UDP, lease: sockets.ListenPacketsWith, resolver: tc.resolver}
			all, err := of.of(t.Context(), site.options.Listen)
			var at []string
			for _, l := range all {
				at = append(at, l.Addr().Addr().String())
				l.Close()
			}
			if !slices.Equal(at, tc.at) {
				t.Errorf("got %v, want %v", at, tc.at)
			}
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %v, want %q", err, tc.err)
			}
			if got := lines.With("is left out", "listen=proxy.example:", "address=192.0.2.77:"); len(got) != tc.log {
				t.Errorf("log: got %q, want %d lines", got, tc.log)
			}
		})
	}
}

// One session has datagrams of two sockets. Answers leave by the socket, and go to the
// address, of the last datagram; when that socket's address is gone with a reload, the
// session ends, and a session of a socket that stays goes on.
func TestListenSessionFollowsSocket(t *testing.T) {
	site, h := newSite(t, "127.0.0.1"), newHost()
	at := site.listenAt(t, "127.0.0.1", "127.0.0.2")
	list := site.options.Listen
	cipher := newFakeServer(true)
	first := site.start(t, cipher, h)
	moving, staying := listenPlain(t), listenPlain(t)
	exchange := func(client *net.UDPConn, to netip.AddrPort, id byte, session int) {
		t.Helper()
		say(t, client, to, wire(id, web, "x"))
		coretest.Await(t, "a datagram", h.came)
		_, conns := h.served()
		if n, err := conns[session].WritePackets([]core.Packet{{Addr: web, Data: []byte("answer")}}); n != 1 || err != nil {
			t.Fatalf("write: got %d, %v, want 1, nil", n, err)
		}
		if from := hears(t, client, wire(id, web, "answer")); from != to {
			t.Errorf("the answer came from %v, want %v", from, to)
		}
	}
	exchange(moving, at[0], 1, 0)
	exchange(moving, at[1], 1, 0)
	exchange(moving, at[0], 1, 0)
	exchange(moving, at[1], 1, 0)
	exchange(staying, at[1], 2, 1)
	exchange(staying, at[0], 2, 1)

	site.options.Listen = list[:1]
	second := site.start(t, cipher, h)
	first.shutdown(t)
	requests, _ := h.served()
	if len(requests) != 2 || requests[0].Flow.Cause() != core.ErrShutdown || requests[1].Flow.Cause() != nil {
		t.Fatalf("got %d sessions, the first cut by %v, the second by %v, want 2, %v, nil",
			len(requests), requests[0].Flow.Cause(), requests[1].Flow.Cause(), core.ErrShutdown)
	}
	exchange(staying, at[0], 2, 1)
	if netio.SocketsOf(site.env.Process).Has(core.UDP, at[1]) {
		t.Errorf("%v: got listening after it was removed", at[1])
	}

	site.options.Listen = list
	site.start(t, cipher, h)
	second.shutdown(t)
	exchange(staying, at[1], 2, 1)
	if requests, _ := h.served(); len(requests) != 2 {
		t.Errorf("sessions: got %d, want 2", len(requests))
	}
}

// Datagrams of one client that arrive at several sockets at the same time make one session,
// and its sink is called for one burst at a time.
func TestListenAtOnce(t *testing.T) {
	site, h := newSite(t, "127.0.0.1"), newHost()
	site.listenAt(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	g := site.start(t, newFakeServer(true), h)
	const bursts = 50
	var sending sync.WaitGroup
	for _, socket := range g.sockets {
		sending.Go(func() {
			for range bursts {
				socket.receive(burst("1x", "1y"))
			}
		})
	}
	sending.Wait()
	if n := h.overlaps.Load(); n != 0 {
		t.Errorf("bursts that overlap in the sink: got %d, want 0", n)
	}
	if requests, _ := h.served(); len(requests) != 1 {
		t.Errorf("sessions: got %d, want 1", len(requests))
	}
	if n := len(g.sessions.all); n != 1 || g.sessions.young.Len()+g.sessions.proven.Len() != 1 {
		t.Errorf("table: got %d sessions, %d unproven, %d proven, want one", n, g.sessions.young.Len(), g.sessions.proven.Len())
	}
}
