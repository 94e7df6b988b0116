package aead2022

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net/netip"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// elsewhere is another address of a client.
var elsewhere = netip.MustParseAddrPort("198.51.100.9:1")

// clientOf returns a client session of c.
func clientOf(t testing.TB, c *Cipher) *packetClient {
	t.Helper()
	p, err := c.NewPacketClient()
	if err != nil {
		t.Fatal(err)
	}
	return p.(*packetClient)
}

// serverOf returns the server of c.
func serverOf(t testing.TB, c *Cipher) core.PacketServer {
	t.Helper()
	s, err := c.NewPacketServer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// packetSealer is a client session or the replies to one.
type packetSealer interface {
	AppendPacket(dst, payload []byte, addr core.Addr) ([]byte, error)
}

// sealed returns a datagram of s to or from 192.0.2.1:443.
func sealed(t testing.TB, s packetSealer, payload string) []byte {
	t.Helper()
	wire, err := s.AppendPacket(nil, []byte(payload), addr(t, "192.0.2.1:443"))
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// opens opens a copy of a datagram with a server.
func opens(t testing.TB, s core.PacketServer, wire []byte) core.OpenedPacket {
	t.Helper()
	o, err := s.Open(bytes.Clone(wire), someone)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return o
}

// drops checks that a server refuses a copy of a datagram with want.
func drops(t testing.TB, what string, s core.PacketServer, wire []byte, want error) {
	t.Helper()
	o, err := s.Open(bytes.Clone(wire), someone)
	if !errors.Is(err, want) || o.Session != nil || o.Payload != nil || o.Target.IsValid() {
		t.Errorf("%s: got %+v, %v, want %v", what, o, err, want)
	}
}

// reads opens a copy of a reply with a client.
func reads(t testing.TB, p core.PacketClient, wire []byte) string {
	t.Helper()
	payload, _, err := p.OpenPacket(bytes.Clone(wire))
	if err != nil {
		t.Fatalf("open a reply: %v", err)
	}
	return string(payload)
}

// unread checks that a client refuses a copy of a reply with want.
func unread(t testing.TB, what string, p core.PacketClient, wire []byte, want error) {
	t.Helper()
	payload, source, err := p.OpenPacket(bytes.Clone(wire))
	if !errors.Is(err, want) || payload != nil || source.IsValid() {
		t.Errorf("%s: got %q from %s, %v, want %v", what, payload, source, err, want)
	}
}

// forge seals an arbitrary main header and payload as a datagram of s with a packetID.
func forge(t testing.TB, s *sealer, packetID uint64, main []byte) []byte {
	t.Helper()
	separate := appendSeparate(nil, s.sessionID, packetID)
	if s.block == nil {
		nonce := make([]byte, longNonce)
		rand.Read(nonce) // never fails
		return s.aead.Seal(nonce, nonce, append(separate, main...), nil)
	}
	wire := bytes.Clone(separate)
	if !s.isReply {
		wire = append(wire, make([]byte, hashSize*len(s.cipher.client.identities))...)
		s.cipher.putPacketIdentities(wire[separateSize:], separate)
	}
	wire = s.aead.Seal(wire, separate[separateNonce:], main, nil)
	s.block.Encrypt(wire, separate)
	return wire
}

// request returns the main header and payload of a valid request of c.
func request(t testing.TB, c *Cipher, payload string) []byte {
	t.Helper()
	main := appendClientHeader(nil, c.now(), nil)
	return append(socksaddr.Append(main, addr(t, "192.0.2.1:443")), payload...)
}

// pair returns a client session and a server with the same keys, whose clocks stand still.
func pair(t testing.TB, s setting) (*packetClient, core.PacketServer) {
	t.Helper()
	client, server := fresh(t, s.spec, s.keys), fresh(t, s.spec, s.keys)
	at(client, noon)
	at(server, noon)
	return clientOf(t, client), serverOf(t, server)
}
