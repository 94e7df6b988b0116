package ciphertest

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

// mostPacketAllocs is the maximum number of allocations for sealing and opening one
// datagram: a method with a key per datagram creates its AEADs each time.
const mostPacketAllocs = 8

// RunPackets runs the checks for datagrams. newCipher returns a new instance with the same
// key at each call, which has not received anything.
func RunPackets(t *testing.T, newCipher func(t testing.TB) core.PacketCipher) {
	packetKit{newCipher}.run(t, append(packetCarrying(), []packetCheck{
		{"nothing in the clear", packetKit.secrecy},
		{"equal replies", packetKit.equalReplies},
		{"tampered", packetKit.tampered},
		{"truncated", packetKit.truncated},
		{"random bytes", packetKit.random},
		{"no port is authenticated", packetKit.noPortProved},
		{"replay", packetKit.replay},
		{"replay at the same instant", packetKit.replayRace},
		{"salt of a forgery", packetKit.saltOfForgery},
		{"reflection", packetKit.reflection},
	}...))
}

// RunUnauthenticatedPackets runs the checks that also hold for a method of datagrams that
// can't distinguish forged bytes from genuine ones.
func RunUnauthenticatedPackets(t *testing.T, newCipher func(t testing.TB) core.PacketCipher) {
	packetKit{newCipher}.run(t, append(packetCarrying(), []packetCheck{
		{"address cut off", packetKit.cut},
		{"noise", packetKit.noise},
	}...))
}

// RunPacketReplays runs, in addition to RunUnauthenticatedPackets, the checks for such a
// method if it refuses replays.
func RunPacketReplays(t *testing.T, newCipher func(t testing.TB) core.PacketCipher) {
	packetKit{newCipher}.run(t, []packetCheck{
		{"equal replies", packetKit.equalReplies},
		{"replay", packetKit.replay},
		{"replay at the same instant", packetKit.replayRace},
		{"salt of a refused request", packetKit.saltOfRefused},
		{"reflection", packetKit.reflection},
	})
}

// packetCheck is one subtest.
type packetCheck struct {
	name string
	run  func(packetKit, *testing.T)
}

// packetCarrying returns the checks for every method.
func packetCarrying() []packetCheck {
	return []packetCheck{
		{"sizes", packetKit.sizes},
		{"targets", packetKit.targets},
		{"caller's memory", packetKit.memory},
		{"sessions", packetKit.sessions},
		{"any order", packetKit.anyOrder},
		{"many at once", packetKit.concurrent},
		{"no port", packetKit.noPort},
		{"allocations", packetKit.allocations},
	}
}

func (k packetKit) run(t *testing.T, checks []packetCheck) {
	before := goleak.IgnoreCurrent()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(k, t) })
	}
	goleak.VerifyNone(t, before)
}

// packetKit is the method under test.
type packetKit struct {
	cipher func(testing.TB) core.PacketCipher
}

// client returns a new client session.
func (k packetKit) client(t testing.TB) core.PacketClient {
	t.Helper()
	c, _ := PacketPair(t, k.cipher(t))
	return c
}

// server returns a server that has not received anything.
func (k packetKit) server(t testing.TB) core.PacketServer {
	t.Helper()
	_, s := PacketPair(t, k.cipher(t))
	return s
}

// PacketPair returns a client session and a server of c for datagrams.
func PacketPair(t testing.TB, c core.PacketCipher) (core.PacketClient, core.PacketServer) {
	t.Helper()
	client, err := c.NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	server, err := c.NewPacketServer()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// sealer is a client or a server's session.
type sealer interface {
	AppendPacket(dst, payload []byte, addr core.Addr) ([]byte, error)
}

// sealed returns a datagram on the wire.
func sealed(t testing.TB, s sealer, payload []byte, addr core.Addr) []byte {
	t.Helper()
	wire, err := s.AppendPacket(nil, payload, addr)
	if err != nil {
		t.Fatalf("seal %d bytes for %s: %v", len(payload), addr, err)
	}
	return wire
}

// opened opens a copy of a request that must be valid.
func opened(t testing.TB, s core.PacketServer, wire []byte) core.OpenedPacket {
	t.Helper()
	o, err := s.Open(bytes.Clone(wire), someone)
	if err != nil {
		t.Fatalf("open %d bytes: %v", len(wire), err)
	}
	return o
}

// exchange sends a request to the server and its payload back as a reply from
// addr.
func (k packetKit) exchange(t *testing.T, c core.PacketClient, s core.PacketServer, payload []byte, addr core.Addr) {
	t.Helper()
	wire := sealed(t, c, payload, addr)
	if most := len(payload) + c.Overhead(addr); len(wire) > most {
		t.Errorf("%d bytes for %s: got %d on the wire, want at most %d", len(payload), addr, len(wire), most)
	}
	o := opened(t, s, wire)
	if o.Target != addr || !bytes.Equal(o.Payload, payload) || o.Session == nil {
		t.Fatalf("%d bytes for %s: got %d for %s, session %v", len(payload), addr, len(o.Payload), o.Target, o.Session)
	}
	back := sealed(t, o.Session, payload, addr)
	if most := len(payload) + o.Session.Overhead(addr); len(back) > most {
		t.Errorf("reply of %d bytes from %s: got %d on the wire, want at most %d", len(payload), addr, len(back), most)
	}
	got, source, err := c.OpenPacket(back)
	if err != nil || source != addr || !bytes.Equal(got, payload) {
		t.Fatalf("reply of %d bytes from %s: got %d from %s, %v", len(payload), addr, len(got), source, err)
	}
}

func (k packetKit) sizes(t *testing.T) {
	c, s := k.client(t), k.server(t)
	addr := target(t)
	largest := core.MaxDatagram - c.Overhead(addr)
	for _, n := range []int{0, 1, 15, 16, 17, 512, 1200, 1400, 1472, 9000, largest} {
		k.exchange(t, c, s, coretest.Pattern(n, byte(n)), addr)
	}
}

func (k packetKit) targets(t *testing.T) {
	c, s := k.client(t), k.server(t)
	for _, text := range []string{
		"192.0.2.1:1", "[2001:db8::1]:65535", "a:53", "example.com:443",
		string(bytes.Repeat([]byte("abcdefgh."), 28)) + "x:53",
	} {
		addr, err := core.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		k.exchange(t, c, s, []byte("hello"), addr)
		k.exchange(t, c, s, nil, addr)
	}
}

// memory checks that the datagram is appended to dst, that the payload is not modified, and
// that the opened payload is part of the wire's memory.
func (k packetKit) memory(t *testing.T) {
	c, s := k.client(t), k.server(t)
	payload := coretest.Pattern(100, 1)
	dst := append(make([]byte, 0, 1000), "before"...)
	out, err := c.AppendPacket(dst, payload, target(t))
	if err != nil || &out[0] != &dst[0] || string(out[:6]) != "before" {
		t.Fatalf("seal: got %v; want the datagram appended to dst", err)
	}
	if !bytes.Equal(payload, coretest.Pattern(100, 1)) {
		t.Error("seal: the payload was changed")
	}
	wire := out[6:]
	o, err := s.Open(wire, someone)
	if err != nil {
		t.Fatal(err)
	}
	o.Payload[0] ^= 0xFF
	if !bytes.Contains(wire, o.Payload) {
		t.Error("open: the payload is not in the wire's memory")
	}
}

// sessions checks that all datagrams of one client have one session.
func (k packetKit) sessions(t *testing.T) {
	c, s := k.client(t), k.server(t)
	first := opened(t, s, sealed(t, c, []byte("1"), target(t)))
	second := opened(t, s, sealed(t, c, []byte("2"), target(t)))
	if first.Session != second.Session {
		t.Error("two datagrams of one client have two sessions")
	}
	other := opened(t, s, sealed(t, k.client(t), []byte("3"), target(t)))
	if s.Roams() && other.Session == first.Session {
		t.Error("two clients that may roam share a session")
	}
}

func (k packetKit) equalReplies(t *testing.T) {
	session := opened(t, k.server(t), sealed(t, k.client(t), []byte("1"), target(t))).Session
	a, b := sealed(t, session, []byte("x"), target(t)), sealed(t, session, []byte("x"), target(t))
	if bytes.Equal(a, b) {
		t.Error("two equal replies are equal on the wire")
	}
}
