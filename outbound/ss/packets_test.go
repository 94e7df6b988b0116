package ss

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// exit is a wire of packets whose far end the test has.
type exit struct {
	coretest.Dialer
	far coretest.PacketEnd
}

// newExit returns one, and the address of the server at its far end.
func newExit(t testing.TB) (*exit, core.Addr) {
	t.Helper()
	near, far := coretest.PacketPipe()
	x := &exit{far: far}
	x.Packets = func(context.Context, *core.Request) (core.PacketConn, error) { return near.Conn, nil }
	t.Cleanup(func() { near.Conn.Close(); far.Conn.Close() })
	return x, far.Addr
}

// server opens what a client sends, as the far end of a wire.
func server(t testing.TB, c core.Cipher) core.PacketServer {
	t.Helper()
	s, err := c.(core.PacketCipher).NewPacketServer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// opened opens a datagram that is whole.
func opened(t testing.TB, s core.PacketServer, wire []byte) core.OpenedPacket {
	t.Helper()
	o, err := s.Open(wire, netip.MustParseAddrPort("192.0.2.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Datagrams go to the server, sealed with their targets, and only what the server
// sealed comes back.
func TestPackets(t *testing.T) {
	x, at := newExit(t)
	g := ciphers(map[core.Ref[core.Cipher]]core.Cipher{"house": newCipher(t, "house")})
	d := over(t, newOutbound(t, g, at.String(), Options{Cipher: "house"}), x)
	if err := d.CheckPackets(); err != nil {
		t.Errorf("check: got %v, want nil", err)
	}
	r := &core.Request{ID: 7, User: "alice", Flow: new(core.Flow), IPs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}
	c, err := d.OpenPackets(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := x.Requests()[0]; got.Target != at || got.IPs != nil || got.ID != 7 || got.User != "alice" || got.Flow != r.Flow {
		t.Errorf("the wire's request: got %+v, want the server as target, no addresses, the rest as it was", got)
	}
	if r.Target.IsValid() || len(r.IPs) != 1 {
		t.Errorf("the request was changed: got %+v", r)
	}
	at53, named := addr(t, "192.0.2.53:53"), addr(t, "example.com:443")
	s, other := server(t, newCipher(t, "house")), newCipher(t, "other")
	stranger := server(t, other)
	got := make(chan core.Packet, 16)
	c.Receive(func(ps []core.Packet) {
		for _, p := range ps {
			got <- core.Packet{Addr: p.Addr, Data: slices.Clone(p.Data)}
		}
	})
	questions := make(chan core.OpenedPacket, 16)
	x.far.Conn.Receive(func(ps []core.Packet) {
		for _, p := range ps {
			o := opened(t, s, slices.Clone(p.Data))
			questions <- o
			answer, err := o.Session.AppendPacket(nil, []byte("answer"), at53)
			if err != nil {
				t.Error(err)
			}
			bad := slices.Clone(answer)
			bad[len(bad)-1] ^= 1
			_, _ = x.far.Conn.WritePackets([]core.Packet{
				{Addr: p.Addr, Data: []byte("noise")}, {Addr: p.Addr}, {Addr: p.Addr, Data: bad},
				{Addr: p.Addr, Data: sealedBy(t, stranger, other)}, {Addr: p.Addr, Data: answer},
			}) // who waits for the last one sees that it is missing
		}
	})
	if n, err := c.WritePackets([]core.Packet{{Addr: at53, Data: []byte("one")}, {Addr: named, Data: nil}}); n != 2 || err != nil {
		t.Errorf("write: got %d, %v, want 2, nil", n, err)
	}
	for _, want := range []core.Packet{{Addr: at53, Data: []byte("one")}, {Addr: named}} {
		if o := coretest.Await(t, "a datagram at the server", questions); o.Target != want.Addr || string(o.Payload) != string(want.Data) {
			t.Errorf("the server got %q for %v, want %q for %v", o.Payload, o.Target, want.Data, want.Addr)
		}
		if p := coretest.Await(t, "an answer", got); p.Addr != at53 || string(p.Data) != "answer" {
			t.Errorf("got %q from %v, want the answer from %v", p.Data, p.Addr, at53)
		}
	}
}

// sealedBy returns an answer under another key.
func sealedBy(t testing.TB, s core.PacketServer, c core.Cipher) []byte {
	t.Helper()
	client, err := c.(core.PacketCipher).NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	wire, err := client.AppendPacket(nil, []byte("x"), addr(t, "192.0.2.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := opened(t, s, wire).Session.AppendPacket(nil, []byte("forged"), addr(t, "192.0.2.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Over two hops, a datagram of the second is one of the first, to the second's
// server; a payload that has no room for both is left out.
func TestPacketsChain(t *testing.T) {
	x, first := newExit(t)
	g := ciphers(map[core.Ref[core.Cipher]]core.Cipher{"a": newCipher(t, "a"), "b": newCipher(t, "b")})
	const second = "second.test:8388"
	d := over(t, newOutbound(t, g, first.String(), Options{Cipher: "a"}), x)
	d = over(t, newOutbound(t, g, second, Options{Cipher: "b"}), d)
	c, err := d.OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outer, inner := server(t, newCipher(t, "a")), server(t, newCipher(t, "b"))
	got := make(chan core.OpenedPacket, 16)
	x.far.Conn.Receive(func(ps []core.Packet) {
		for _, p := range ps {
			o := opened(t, outer, slices.Clone(p.Data))
			if o.Target != addr(t, second) {
				t.Errorf("the first server got one for %v, want %s", o.Target, second)
			}
			got <- opened(t, inner, o.Payload)
		}
	})
	target := addr(t, "192.0.2.53:53")
	n, err := c.WritePackets([]core.Packet{
		{Addr: target, Data: []byte("small")}, {Addr: target, Data: make([]byte, core.MaxDatagram-100)}, {Addr: target, Data: make([]byte, 60_000)},
	})
	if n != 2 || err != nil {
		t.Errorf("write: got %d, %v, want 2 of 3, nil", n, err)
	}
	for _, size := range []int{5, 60_000} {
		if o := coretest.Await(t, "a datagram at the second server", got); o.Target != target || len(o.Payload) != size {
			t.Errorf("the second server got %d bytes for %v, want %d for %v", len(o.Payload), o.Target, size, target)
		}
	}
}

// streamOnly is a cipher without UDP.
type streamOnly struct{ core.Cipher }

// What carries no UDP says so: the method, or the wire.
func TestPacketsNot(t *testing.T) {
	g := ciphers(map[core.Ref[core.Cipher]]core.Cipher{"house": newCipher(t, "house"), "old": streamOnly{newCipher(t, "old")}})
	x, at := newExit(t)
	errWire := errors.New("no route")
	for _, tc := range []struct {
		name, cipher string
		wire         core.Dialer
		err          error
		check        error
	}{
		{"the method", "old", x, core.ErrNoPackets, core.ErrNoPackets},
		{"the wire", "house", &recorder{}, core.ErrNoPackets, core.ErrNoPackets},
		{"the wire fails", "house", &coretest.Dialer{Packets: func(context.Context, *core.Request) (core.PacketConn, error) { return nil, errWire }}, errWire, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := over(t, newOutbound(t, g, at.String(), Options{Cipher: core.Ref[core.Cipher](tc.cipher)}), tc.wire)
			if c, err := d.OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)}); c != nil || !errors.Is(err, tc.err) {
				t.Errorf("open: got %v, %v, want nil, %v", c, err, tc.err)
			}
			if err := d.CheckPackets(); !errors.Is(err, tc.check) {
				t.Errorf("check: got %v, want %v", err, tc.check)
			}
		})
	}
}
