package stream

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// packets encrypts datagrams in both roles. Each datagram is
//
//	+----+------------------------------+
//	| IV | address, payload (encrypted) |
//	+----+------------------------------+
//
// The address is the target of a request and the source of a reply. The method has no
// sessions, so one packets value serves all clients with the same key.
type packets struct {
	cipher *Cipher
	seen   *replay.Digests // IVs of a server's requests and replies
	memo   socksaddr.Memo
}

var (
	_ core.PacketCipher  = (*Cipher)(nil)
	_ core.PacketServer  = packetServer{}
	_ core.PacketSession = (*packets)(nil)
	_ core.PacketClient  = packetClient{}
)

// isFor reports whether p encrypts with method and key.
func (p *packets) isFor(method string, key []byte) bool {
	return p.cipher.spec.Method == method && bytes.Equal(p.cipher.key, key)
}

// NewPacketServer returns the server's side for datagrams. If the method has an IV, the
// server refuses datagrams that are among the last 262,144 received or sent: its replies
// count, because a recorded reply must not be accepted as a request.
func (c *Cipher) NewPacketServer() (core.PacketServer, error) { return packetServer{c}, nil }

// NewPacketClient returns the client's side for datagrams.
func (c *Cipher) NewPacketClient() (core.PacketClient, error) {
	return packetClient{c.packets}, nil
}

// Overhead returns the size of a datagram without its payload.
func (p *packets) Overhead(addr core.Addr) int {
	return p.cipher.spec.IVSize + socksaddr.Len(addr)
}

// AppendPacket encrypts a reply.
func (p *packets) AppendPacket(dst, payload []byte, source core.Addr) ([]byte, error) {
	at := len(dst)
	out, err := p.seal(dst, payload, source)
	if size := p.cipher.spec.IVSize; err == nil && size > 0 {
		p.seen.Add(out[at : at+size])
	}
	return out, err
}

func (p *packets) seal(dst, payload []byte, addr core.Addr) ([]byte, error) {
	at, size := len(dst), p.cipher.spec.IVSize
	var room [replay.MaxSalt]byte
	out := append(dst, room[:size]...)
	keys, err := p.cipher.newKeys(out[at:])
	if err != nil {
		return dst, err
	}
	out = socksaddr.Append(out, addr)
	out = append(out, payload...)
	if err := keys.apply(out[at+size:], out[at+size:]); err != nil {
		return dst, err
	}
	return out, nil
}

// open opens a datagram in place.
func (p *packets) open(wire []byte) (iv []byte, addr core.Addr, payload []byte, err error) {
	size := p.cipher.spec.IVSize
	if len(wire) <= size {
		return nil, core.Addr{}, nil, fmt.Errorf("%w: %d, want more than %d", core.ErrShort, len(wire), size)
	}
	iv, plain := wire[:size], wire[size:]
	keys, err := p.cipher.begin(iv, Decrypt)
	if err == nil {
		err = keys.apply(plain, plain)
	}
	if err != nil {
		return nil, core.Addr{}, nil, err
	}
	addr, n, err := p.memo.Decode(plain)
	if err != nil { // not Authenticated: any bytes decrypt to something
		return nil, core.Addr{}, nil, fmt.Errorf("%w: no address: %v", core.ErrAuth, err)
	}
	return iv, addr, plain[n:], nil
}

// packetServer opens the datagrams of a server.
type packetServer struct{ cipher *Cipher }

// Open opens a request. Only a datagram with a valid address adds its IV to the set.
func (s packetServer) Open(wire []byte, _ netip.AddrPort) (core.OpenedPacket, error) {
	p := s.cipher.packets
	iv, target, payload, err := p.open(wire)
	switch {
	case err != nil:
		return core.OpenedPacket{}, err
	case target.Port() == 0:
		return core.OpenedPacket{}, fmt.Errorf("%w: port 0 in target %s", core.ErrMalformed, target)
	case len(iv) > 0 && !p.seen.Add(iv):
		return core.OpenedPacket{}, core.ErrReplay
	}
	return core.OpenedPacket{Session: p, Target: target, Payload: payload}, nil
}

// Roams returns false: a client is identified by its address.
func (packetServer) Roams() bool { return false }

// User returns "": the methods have no users.
func (*packets) User() string { return "" }

// Close does nothing: the session is shared by all clients.
func (*packets) Close() {}

// packetClient is packets in the role of a client. It does not refuse replays: only a
// server acts on a request.
type packetClient struct{ packets *packets }

// Overhead returns the size of a datagram without its payload.
func (c packetClient) Overhead(target core.Addr) int { return c.packets.Overhead(target) }

// AppendPacket encrypts a request.
func (c packetClient) AppendPacket(dst, payload []byte, target core.Addr) ([]byte, error) {
	return c.packets.seal(dst, payload, target)
}

// OpenPacket opens a reply.
func (c packetClient) OpenPacket(wire []byte) (payload []byte, source core.Addr, err error) {
	_, source, payload, err = c.packets.open(wire)
	return payload, source, err
}
